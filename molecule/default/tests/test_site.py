# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The four nodes and Registrator as site.yml leaves them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t

import pytest
from conftest import ADDRESS, NODES, PROJECT, PYTHON, SERVERS, SSH, Machine, Node

Play = t.Callable[..., str]


def changes(output: str) -> dict[str, int]:
    """The `changed=` of the recap, per node."""
    recap = re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+)", output, re.M)
    assert recap, output
    return {host: int(number) for host, number in recap if host != "docker_host"}


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_every_node_sees_every_member_alive_in_its_role(machine: Machine, node: Node) -> None:
    members = machine.api("/v1/agent/members", node.offset)
    assert {(m["Name"], m["Addr"], m["Tags"]["role"], m["Status"]) for m in members} == {
        (one.name, one.address, "consul" if one.server else "node", 1) for one in NODES
    }


def test_all_agree_on_the_leader(machine: Machine) -> None:
    leaders = {machine.api("/v1/status/leader", node.offset) for node in NODES}
    assert len(leaders) == 1
    assert leaders <= {f"{node.address}:8300" for node in SERVERS}


def test_the_three_servers_are_voters(machine: Machine) -> None:
    servers = machine.api("/v1/operator/raft/configuration")["Servers"]
    assert {(s["Node"], s["Address"], s["Voter"]) for s in servers} == {(node.name, f"{node.address}:8300", True) for node in SERVERS}


def test_a_key_written_through_node4_is_read_through_node1(machine: Machine) -> None:
    machine.consul("node4", "kv put molecule/key written-through-node4")
    assert machine.consul("node1", "kv get molecule/key") == "written-through-node4"


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_dns_names_the_servers(machine: Machine, node: Node, protocol: str) -> None:
    code = (
        "import dns.message, dns.query; q = dns.message.make_query('consul.service.consul', 'A');"
        f"a = dns.query.{protocol}(q, '127.0.0.1', timeout=5, port={8600 + node.offset});"
        "print(sorted(r.address for s in a.answer for r in s))"
    )
    assert json.loads(machine.python(code).replace("'", '"')) == [one.address for one in SERVERS]


def test_the_ports_of_the_table_and_no_others(machine: Machine) -> None:
    wanted = {
        f"{protocol} 127.0.0.1:{port + node.offset}"
        for node in NODES
        for port, protocols in ((8300, ["tcp"]), (8301, ["tcp", "udp"]), (8302, ["tcp", "udp"]), (8500, ["tcp"]), (8600, ["tcp", "udp"]))
        for protocol in protocols
    }
    listening = [line.split() for line in machine.run("ss --listening --tcp --udp --numeric --processes --no-header").splitlines()]
    assert {f"{columns[0]} {columns[4]}" for columns in listening if "docker-proxy" in columns[-1]} == wanted


def test_the_agents_run_without_rights(machine: Machine) -> None:
    for node in NODES:
        (one,) = json.loads(machine.run(f"docker inspect {node.name}"))
        assert one["Config"]["User"] == "100:1000"
        host = one["HostConfig"]
        assert (host["CapDrop"], host["ReadonlyRootfs"], host["SecurityOpt"], host["RestartPolicy"]["Name"]) == (
            ["ALL"],
            True,
            ["no-new-privileges"],
            "unless-stopped",
        )
    modes = machine.run("find /etc/discovery.consul -mindepth 1 -printf '%y %m\\n'").split("\n")
    assert set(modes) == {"d 700", "f 600", ""}


def test_a_container_is_registered_when_it_starts_and_removed_when_it_ends(machine: Machine) -> None:
    image = machine.run("docker inspect --format '{{.Config.Image}}' registrator").strip()
    machine.run(
        f"docker run --detach --name molecule-web --publish 18080:80 --env SERVICE_NAME=molecule-web --env SERVICE_TAGS=blue,v1 "
        f"--env SERVICE_CHECK_TCP=yes --env SERVICE_CHECK_INTERVAL=1s --user 0 --entrypoint python3 {image} -m http.server 80"
    )
    try:
        machine.until("it is registered", lambda: machine.api("/v1/catalog/service/molecule-web"))
        (service,) = machine.api("/v1/catalog/service/molecule-web", 2000)
        assert (service["ServicePort"], sorted(service["ServiceTags"]), service["Node"]) == (18080, ["blue", "v1"], "node4")
    finally:
        machine.run("docker rm --force molecule-web")
    machine.until("it is deregistered", lambda: not machine.api("/v1/catalog/service/molecule-web"))


def test_every_published_port_of_the_nodes_is_a_service(machine: Machine) -> None:
    assert set(machine.api("/v1/catalog/services")) >= {"consul", "consul-8300", "consul-8301", "consul-8302", "consul-8500", "consul-8600"}


def test_a_run_again_starts_few_modules(play: Play) -> None:
    """What a run costs that finds nothing to change, at the level of the inventory, full."""
    output = play("site.yml", "-vvv", "--tags", "consul,health", "--limit", "consul_servers:consul_clients")
    assert changes(output) == {node.name: 0 for node in NODES}
    # The service and the prepared query that this inventory declares add some.
    assert 0 < len(re.findall(r"^TASK ", output, re.M)) <= 26 + 4
    assert 0 < len(re.findall(r"^Using module file ", output, re.M)) <= 10
    assert 0 < int(re.findall(r"^node4 +: ok=(\d+)", output, re.M)[-1]) <= 12


def test_check_mode_predicts_a_change_and_makes_none(machine: Machine, play: Play) -> None:
    before = {node.name: machine.run(f"docker inspect --format '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {node.name}") for node in NODES}
    output = play("site.yml", "--check", "--diff", "--tags", "consul", "-e", "consul_agent_log_level=debug")
    assert changes(output) == {node.name: 1 for node in NODES}
    assert output.count("(reload)") == len(NODES)
    output = play("site.yml", "--check", "--diff", "--limit", "node2", "--tags", "consul", "-e", '{"consul_agent_environment": {"A": "1"}}')
    assert changes(output) == {"node2": 1}
    assert output.count("(recreate)") == 1
    after = {node.name: machine.run(f"docker inspect --format '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {node.name}") for node in NODES}
    assert after == before


@pytest.fixture(scope="module")
def under_load(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Callable[[str], None]]:
    """A fault under load: writers and readers lose nothing while it happens, and the health check never lies. See tests/faults."""
    # An address of the loopback that nothing else uses: this machine may run four nodes of its own on 127.0.0.1.
    socket, tunnel = str(tmp_path_factory.mktemp("tunnel") / "socket"), "127.213.0.11"
    forwards = [argument for node in NODES for argument in ("-L", f"{tunnel}:{8500 + node.offset}:127.0.0.1:{8500 + node.offset}")]
    subprocess.run(["ssh", *SSH, "-o", "ExitOnForwardFailure=yes", "-M", "-S", socket, "-f", "-N", *forwards, f"root@{ADDRESS}"], check=True)
    paths = os.pathsep.join(str(PROJECT / folder) for folder in (".venv/collections", "tests"))
    environment = {**os.environ, "PYTHONPATH": paths, "FAULTS_SCENARIO": "default", "FAULTS_TUNNEL": tunnel}

    def happens(fault: str) -> None:
        done = subprocess.run([sys.executable, "-m", "faults", fault], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

    yield happens
    subprocess.run(["ssh", "-S", socket, "-O", "exit", ADDRESS], check=True)


def test_a_leader_is_killed(under_load: t.Callable[[str], None]) -> None:
    under_load("leader killed")


def test_a_change_that_stops_servers_goes_one_at_a_time_leader_last_and_back_with_a_client_down(
    machine: Machine, play: Play, under_load: t.Callable[[str], None]
) -> None:
    leader = machine.api("/v1/status/leader").rpartition(":")[0]
    try:
        under_load("site.yml: option that restarts")
        started = {node.name: machine.run(f"docker inspect --format '{{{{.State.StartedAt}}}}' {node.name}").strip() for node in NODES}
        machine.run("docker stop node4")
        output = play("site.yml", "--tags", "consul_servers")
    finally:
        machine.run("docker start node4")
        play("site.yml", "--tags", "consul_clients,health")
    assert changes(output) == {node.name: int(node.server) for node in NODES}
    # Consul before 1.15 cannot hand the leadership over. It is asked all the same, for the server that leads.
    assert len(re.findall(r"leadership\.yml for node[123]$", output, re.M)) == 1
    order = sorted((one.name for one in SERVERS), key=lambda name: started[name])
    assert order[-1] == next(node.name for node in SERVERS if node.address == leader)
    assert machine.consul("node1", "kv get molecule/key") == "written-through-node4"


def test_data_and_identities_survive_the_loss_of_all_containers(machine: Machine, play: Play) -> None:
    def identities() -> dict[str, str]:
        return {node.name: machine.api("/v1/agent/self", node.offset)["Config"]["NodeID"] for node in NODES}

    before = identities()
    machine.run("docker rm --force node1 node2 node3 node4 registrator")
    play("site.yml")
    assert identities() == before
    assert machine.consul("node2", "kv get molecule/key") == "written-through-node4"


def test_an_interrupted_change_is_ended_by_the_next_run(machine: Machine, play: Play, interrupted: t.Callable[..., None]) -> None:
    started = machine.run("docker inspect --format '{{.State.StartedAt}}' node1 node2 node3")
    interrupted(
        "site.yml",
        "--tags",
        "consul",
        "-e",
        "consul_agent_raft_multiplier=3",
        when=lambda: machine.run("docker inspect --format '{{.State.StartedAt}}' node1 node2 node3") != started,
    )
    play("site.yml")
    output = play("site.yml", "--check", "--diff")
    assert changes(output) == {node.name: 0 for node in NODES}
    assert not re.search(r"changed=[1-9]", output)
    assert machine.consul("node1", "kv get molecule/key") == "written-through-node4"


# What is found out on the host, or in the cluster. What is refused before anything exists is in tests/unit/roles.
BAD_INPUT = [
    ('{"consul_agent_acl_management_token": "00000000-1111-2222-3333-444444444444"}', "It has another management token, which Consul would keep"),
    ('{"consul_agent_extra_config": {"nonsense": 1}}', "refuses the configuration"),
    ('{"consul_agent_image": "nowhere.invalid/consul:1", "consul_agent_image_fallback": ""}', "cannot be pulled"),
]


@pytest.mark.parametrize(("variables", "words"), BAD_INPUT, ids=[words for _variables, words in BAD_INPUT])
def test_bad_input_is_a_sentence_and_changes_nothing(machine: Machine, play: Play, variables: str, words: str) -> None:
    before = machine.run("docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'; cat /etc/discovery.consul/*/consul.json")
    output = play("site.yml", "--tags", "consul", "-e", variables, code=2)
    assert words in re.sub(r"\s+", " ", output)
    assert "Traceback" not in output
    assert machine.run("docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'; cat /etc/discovery.consul/*/consul.json") == before


def test_a_port_that_somebody_holds_is_named_with_its_holder(machine: Machine, play: Play) -> None:
    machine.run("docker stop node4")
    machine.run(f"systemd-run --unit=molecule-port {PYTHON} -m http.server --bind 127.0.0.1 11500")
    try:
        machine.until("the port is taken", lambda: "127.0.0.1:11500" in machine.run("ss --listening --tcp --numeric --no-header"))
        output = play("site.yml", "--tags", "consul_clients", code=2)
        assert re.search(r"127\.0\.0\.1:11500/tcp is held by the process python\d* \(pid \d+\)", re.sub(r"\s+", " ", output))
    finally:
        machine.run("systemctl stop molecule-port")
    play("site.yml", "--tags", "consul_clients,health")


def test_a_new_container_that_fails_puts_the_old_one_back(machine: Machine, play: Play) -> None:
    before = machine.run("docker inspect --format '{{.Id}}' node4")
    variables = '{"consul_agent_memory": "6m", "consul_agent_hardened": false, "consul_agent_ready_timeout": 15}'
    output = play("site.yml", "--tags", "consul_clients", "-e", variables, code=2)
    assert "The container that was there before has been put back." in re.sub(r"\s+", " ", output)
    assert machine.run("docker inspect --format '{{.Id}}' node4") == before
    assert "node4-replaced" not in machine.run("docker ps --all")
    play("site.yml", "--tags", "consul_clients,health")


def test_the_image_that_was_asked_for_runs(machine: Machine) -> None:
    asked = os.environ.get("CONSUL_IMAGE")
    allowed = [asked] if asked else ["hashicorp/consul:2.0.4", "localhost/discovery/consul:1.8.7-debian11"]
    (image,) = {machine.run(f"docker inspect --format '{{{{.Config.Image}}}}' {node.name}").strip() for node in NODES}
    assert image in allowed
