# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Strangers at the door: agents that should not get in, callers that may do nothing, and secrets where they must not be."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import typing as t

import pytest
from conftest import ADDRESS, NODES, SECRETS, SERVERS, Machine, Node, secret

Json = t.Dict[str, t.Any]
Play = t.Callable[..., str]

STRANGER, ADDRESS_OF_STRANGER = "stranger", "172.30.0.66"
WRONG_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
TLS = {"ca_file": "/s/ca.pem", "cert_file": "/s/stranger.pem", "key_file": "/s/stranger.key", "verify_outgoing": True}


def gossip_key() -> str:
    return (SECRETS / "gossip.key").read_text().strip()


class Stranger:
    """An agent beside the nodes, on their network, that got hold of something."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def start(self, **config: t.Any) -> None:
        whole = {"node_name": STRANGER, "data_dir": "/tmp/data", "bind_addr": ADDRESS_OF_STRANGER, "retry_join": [n.address for n in SERVERS], **config}
        whole = {**whole, "retry_interval": "1s", "leave_on_terminate": False}
        self.machine.run(f"cat >/tmp/stranger/agent.json <<'EOF'\n{json.dumps(whole)}\nEOF")
        image = self.machine.run("docker inspect --format '{{.Config.Image}}' node1").strip()
        self.machine.run(
            f"docker run --detach --name {STRANGER} --network consul --ip {ADDRESS_OF_STRANGER} --user 0 --volume /tmp/stranger:/s:ro "
            f"--entrypoint consul {image} agent -config-file=/s/agent.json"
        )
        self.machine.until("it runs", lambda: "Synced" in self.log() or "agent: Started" in self.log() or "started state syncer" in self.log())

    def log(self) -> str:
        return self.machine.run(f"docker logs {STRANGER} 2>&1")

    def says(self, arguments: str) -> str:
        """What the program answers there, to one with the management token even."""
        command = f"docker exec --env CONSUL_HTTP_TOKEN={secret('management')} {STRANGER} consul {arguments}"
        return t.cast(str, self.machine.host.run(command).stderr)

    def remove(self) -> None:
        self.machine.host.run(f"docker rm --force --volumes {STRANGER}; rm -rf /tmp/stranger; mkdir -p /tmp/stranger")
        self.machine.until("every node forgot it", self.forgotten, seconds=60)

    def forgotten(self) -> bool:
        """A node that hears of the stranger's end after it was told to forget keeps it, and one that forgot tells nobody: whoever sees it is told."""
        keeping = [node for node in NODES if seen(self.machine, node) is not None]
        for node in keeping:
            self.machine.host.run(f"docker exec --env CONSUL_HTTP_TOKEN={secret('management')} {node.name} consul force-leave -prune {STRANGER}")
        return not keeping


@pytest.fixture
def stranger(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Stranger]:
    one = Stranger(machine)
    one.remove()
    yield one
    one.remove()


def seen(machine: Machine, node: Node = NODES[0]) -> int | None:
    """The state that a node sees the stranger in."""
    return next((member["Status"] for member in machine.api("/v1/agent/members", node.offset) if member["Name"] == STRANGER), None)


def hand_over(machine: Machine, folder: t.Any, authority: str) -> None:
    """A certificate for a client, of our authority or of one that the stranger made up, as the agent's files."""
    key, request, certificate = folder / "s.key", folder / "s.csr", folder / "s.pem"
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca = [SECRETS / "ca.pem", SECRETS / "ca.key"]
    if authority == "another":
        ca = [folder / "ca.pem", folder / "ca.key"]
        run("openssl", "req", "-x509", *ec, "-keyout", ca[1], "-out", ca[0], "-subj", "/CN=another")
    run("openssl", "req", *ec, "-keyout", key, "-out", request, "-subj", "/CN=client.dc1.consul")
    run("openssl", "x509", "-req", "-in", request, "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-CAserial", folder / "serial", "-out", certificate)
    for name, path in (("ca.pem", SECRETS / "ca.pem"), ("stranger.pem", certificate), ("stranger.key", key)):
        machine.run(f"cat >/tmp/stranger/{name} <<'EOF'\n{path.read_text()}\nEOF")


def run(*command: t.Any) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@pytest.mark.parametrize("config", [{}, {"encrypt": WRONG_KEY}], ids=["no gossip key", "another gossip key"])
def test_without_the_gossip_key_nobody_gets_in(machine: Machine, stranger: Stranger, config: Json) -> None:
    stranger.start(**config)
    machine.until("it was refused", lambda: "failed to join" in stranger.log().lower() or "join failed" in stranger.log().lower())
    assert seen(machine) is None


@pytest.mark.parametrize("authority", [None, "another"], ids=["no certificate", "a certificate of another authority"])
def test_with_the_gossip_key_alone_nothing_is_read_or_written(machine: Machine, stranger: Stranger, tmp_path: t.Any, authority: str | None) -> None:
    if authority:
        hand_over(machine, tmp_path, authority)
    stranger.start(encrypt=gossip_key(), **(TLS if authority else {}))
    machine.until("the nodes see it", lambda: seen(machine) == 1)
    for arguments in ("kv get molecule/key", "kv put molecule/stranger was-here", "catalog nodes", "kv get -recurse"):
        assert re.search("rpc error|No known Consul servers|EOF|500", stranger.says(arguments)), arguments
    assert STRANGER not in {node["Node"] for node in machine.api("/v1/catalog/nodes") if node["Node"] != STRANGER or node["Meta"]}
    assert machine.ask("/v1/kv/molecule/stranger", token=secret("management"))[0] == 404


def test_a_clients_certificate_makes_no_server(machine: Machine, stranger: Stranger, tmp_path: t.Any) -> None:
    machine.consul("node1", "kv put molecule/confidential treasure")
    hand_over(machine, tmp_path, "ours")
    stranger.start(encrypt=gossip_key(), server=True, verify_incoming_rpc=True, verify_server_hostname=True, **TLS)
    machine.until("the nodes see it", lambda: seen(machine) == 1)
    machine.until(
        "a server refused it",
        lambda: re.search(
            "x509|tls:", machine.run("docker logs --since 60s node1 2>&1; docker logs --since 60s node2 2>&1; docker logs --since 60s node3 2>&1")
        ),
    )
    voters = {server["Node"]: server["Voter"] for server in machine.api("/v1/operator/raft/configuration")["Servers"]}
    assert {name for name, voter in voters.items() if voter} == {node.name for node in SERVERS}
    # Servers of Consul 1.20 or newer keep their log in segments, older ones in one file.
    log = "cat /tmp/data/raft/raft.db /tmp/data/raft/wal/* 2>/dev/null"
    assert int(machine.run(f"docker exec {STRANGER} sh -c '{log} | wc -c'")) > 0
    found = machine.run(f"docker exec {STRANGER} sh -c '({log}; cat /tmp/data/raft/snapshots/*/* 2>/dev/null) | grep -ac treasure || true'")
    assert found.strip() == "0"


@pytest.mark.parametrize("node", [SERVERS[0], NODES[-1]], ids=lambda node: node.name)
@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("GET", "/v1/kv/molecule/key", ""),
        ("PUT", "/v1/kv/molecule/stranger", "was here"),
        ("DELETE", "/v1/kv/molecule/key", ""),
        ("PUT", "/v1/agent/service/register", '{"Name": "stranger"}'),
        ("PUT", "/v1/agent/leave", ""),
        ("GET", "/v1/agent/self", ""),
        ("GET", "/v1/acl/tokens", ""),
        ("GET", "/v1/operator/raft/configuration", ""),
    ],
)
def test_without_a_token_nothing_is_read_written_or_registered(machine: Machine, node: Node, method: str, path: str, data: str) -> None:
    status, body = machine.ask(path, node.offset, method=method, data=data)
    assert status == 403 or "Permission denied" in body, (status, body)


def test_without_a_token_nobody_reads_the_gossip_key_or_takes_a_snapshot(machine: Machine) -> None:
    def denied(path: str) -> bool:
        status, body = machine.ask(path)
        assert status in (403, 500)
        return "denied" in body

    for path in ("/v1/operator/keyring", "/v1/snapshot"):
        # A follower may lose the leader's words on their way (hashicorp/consul#6893).
        machine.until(f"{path} is denied", lambda path=path: denied(path))


def test_without_a_token_no_key_is_listed_and_no_more_of_the_catalog_than_dns_tells(machine: Machine) -> None:
    assert machine.ask("/v1/kv/?keys")[1] in ("[]", "", "Permission denied")
    release = tuple(int(part) for part in machine.api("/v1/agent/self")["Config"]["Version"].split("+")[0].split("."))
    for path in ("/v1/catalog/services", "/v1/catalog/nodes", "/v1/agent/members", "/v1/agent/services"):
        status, body = machine.ask(path)
        if release >= (1, 17, 0):
            assert status == 403 or json.loads(body) in ([], {}), path
        elif path.startswith("/v1/catalog/"):
            # Until then DNS has no token of its own: names and addresses, which it tells anybody, are seen here too.
            assert status == 200


def test_registrators_token_writes_services_and_nothing_else(machine: Machine) -> None:
    token = secret("registrator")
    offset = NODES[-1].offset
    assert machine.ask("/v1/agent/service/register", offset, token, "PUT", '{"Name": "molecule-mine"}')[0] == 200
    assert machine.ask("/v1/agent/service/deregister/molecule-mine", offset, token, "PUT")[0] == 200
    for method, path in (("GET", "/v1/kv/molecule/key"), ("PUT", "/v1/kv/molecule/key"), ("GET", "/v1/acl/tokens"), ("GET", "/v1/agent/self")):
        assert machine.ask(path, offset, token, method, "x" if method == "PUT" else "")[0] == 403, path


def test_the_health_checks_token_writes_its_own_keys_only(machine: Machine) -> None:
    token = secret("health")
    assert machine.ask("/v1/kv/_health/molecule", token=token, method="PUT", data="x")[0] == 200
    assert machine.ask("/v1/kv/_health/molecule", token=token, method="DELETE")[0] == 200
    for method, path in (("PUT", "/v1/kv/molecule/key"), ("PUT", "/v1/agent/service/register"), ("GET", "/v1/acl/tokens")):
        assert machine.ask(path, token=token, method=method, data='{"Name": "x"}' if method == "PUT" else "")[0] == 403, path


def test_the_operators_token_shows_the_cluster_and_changes_nothing(machine: Machine) -> None:
    token = secret("operator")
    for path in ("/v1/agent/self", "/v1/catalog/nodes", "/v1/health/state/any", "/v1/operator/raft/configuration"):
        assert machine.ask(path, token=token)[0] == 200, path
    machine.consul("node1", "kv put molecule/secret hidden")
    for method, path in (
        ("GET", "/v1/kv/molecule/secret"),
        ("PUT", "/v1/kv/molecule/secret"),
        ("PUT", "/v1/kv/_health/molecule"),
        ("PUT", "/v1/agent/service/register"),
        ("PUT", "/v1/agent/leave"),
        ("GET", "/v1/acl/tokens"),
    ):
        status, body = machine.ask(path, token=token, method=method, data='{"Name": "x"}' if method == "PUT" else "")
        assert status == 403, (path, status, body)
    assert machine.ask("/v1/operator/keyring", token=token)[0] in (403, 500)


def test_each_token_of_the_collection_says_whose_it_is(machine: Machine) -> None:
    found = {one["Description"].rpartition("[discovery.consul: ")[2] for one in machine.api("/v1/acl/tokens")}
    assert found >= {f"{name} of dc1.cluster]" for name in ("dns", "health", "operator", "registrator")}
    assert found >= {f"agent-{node.name} of dc1.agents]" for node in NODES}


def test_an_agents_token_is_good_for_its_own_node_only(machine: Machine) -> None:
    node = {"Node": "node2", "Address": "172.30.0.99"}
    assert machine.ask("/v1/catalog/register", token=secret("agent-node1"), method="PUT", data=json.dumps(node))[0] == 403


def test_from_another_machine_no_port_of_the_cluster_answers() -> None:
    open_ports = set()
    for port in [22, *(base + node.offset for node in NODES for base in (8300, 8301, 8302, 8400, 8500, 8501, 8502, 8503, 8600)), *range(21000, 21004)]:
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex((ADDRESS, port)) == 0:
                open_ports.add(port)
    assert open_ports == {22}


def everything_secret() -> set[str]:
    """The gossip key, the tokens, and a line of each private key."""
    tokens = {path.read_text().strip() for path in (SECRETS / "tokens").iterdir()}
    keys = {path.read_text().splitlines()[1] for path in SECRETS.rglob("*.key") if path.name != "gossip.key"}
    assert len(tokens) >= 9
    assert len(keys) >= 4
    return {gossip_key(), *tokens, *keys}


def test_secrets_are_private_on_the_controller() -> None:
    assert {oct(path.stat().st_mode & 0o777) for path in SECRETS.rglob("*") if path.is_file()} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in [SECRETS, *SECRETS.iterdir()] if path.is_dir()} == {"0o700"}


def test_no_secret_is_seen_where_others_can_look(machine: Machine, play: Play, tmp_path: t.Any) -> None:
    looked = machine.run(
        "ids=$(docker ps --all --quiet); docker inspect $ids; docker history --no-trunc $(docker images --quiet | sort -u | tr '\\n' ' ') || true"
    )
    looked += machine.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")
    looked += machine.run("for one in $(docker ps --all --quiet); do docker logs $one 2>&1; done; journalctl --no-pager --unit docker --unit ssh")
    looked += play("site.yml", "-vvv", "--diff", "-e", "consul_agent_log_level=debug")
    looked += play("site.yml", "-vvv", "--diff")
    (tmp_path / "make.yml").write_text(
        json.dumps(
            [
                {
                    "hosts": "consul_servers",
                    "gather_facts": False,
                    "tasks": [{"include_role": {"name": "discovery.consul.consul_agent", "tasks_from": tasks}} for tasks in ("node.yml", "secrets.yml")],
                }
            ]
        )
    )
    fresh = tmp_path / "secrets"
    made = play(str(tmp_path / "make.yml"), "-vvv", "--diff", "-e", json.dumps({"consul_agent_server": True, "consul_agent_secrets": str(fresh)}))
    assert {line for line in everything_secret() if line in looked} == set()
    new = {path.read_text().strip() for path in fresh.rglob("*") if path.is_file() and path.suffix != ".pem"}
    assert len(new) >= 12
    assert {text for text in new if text in made} == set()


def test_files_of_others_on_the_host_hold_no_secret(machine: Machine) -> None:
    """But for the nodes' own folders and data, which only they and root can read."""
    patterns = "\n".join(sorted(everything_secret()))
    machine.run(f"umask 077; cat >/root/patterns <<'EOF'\n{patterns}\nEOF")
    found = machine.host.run(
        "grep --recursive --files-with-matches --fixed-strings --file=/root/patterns "
        "/etc /home /opt /tmp /usr/local /var/cache /var/log /root/.ansible 2>/dev/null"
    )
    machine.run("rm /root/patterns")
    files = found.stdout.split()
    assert files
    assert {path for path in files if not path.startswith("/etc/discovery.consul/")} == set()
