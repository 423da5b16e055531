# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node per host, as site.yml leaves them."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import socket
import ssl
import typing as t
import urllib.error
import urllib.request

import pytest
from conftest import CLIENT, NODES, SECRETS, SERVERS, Cluster, Node, until

Play = t.Callable[..., str]

PYTHON = "/opt/discovery.consul/venv/bin/python"


def test_the_site_finds_nothing_to_do_after_the_roles_by_themselves(play: Play) -> None:
    assert not re.search(r"changed=[1-9]|failed=[1-9]", play("discovery.consul.site", "-e", "consul_dns_state=present"))


def test_every_host_finds_the_cluster_healthy(cluster: Cluster) -> None:
    results = cluster.judge("docker_hosts", wait_for="healthy", timeout=60)
    assert {host: (result["verdict"], result["failed_rules"]) for host, result in results.items()} == {node.host: ("healthy", []) for node in NODES}


def test_checks_at_the_same_time_do_not_disturb_each_other(cluster: Cluster) -> None:
    for _time in range(3):
        results = cluster.judge("docker_hosts")
        assert {host: result["failed_rules"] for host, result in results.items() if "security" in result["failed_rules"]} == {}


def test_nodes_listen_for_each_other_on_their_own_address_only() -> None:
    for node in NODES:
        listening = node.run("ss --listening --tcp --udp --numeric --no-header").split("\n")
        cluster_ports = {line.split()[4] for line in listening if re.search(r":830[0-2]\s", line)}
        assert cluster_ports == {f"{node.address}:{port}" for port in ((8300, 8301, 8302) if node.server else (8301,))}


def test_what_is_built_was_built_once_and_copied() -> None:
    labels = "docker image inspect --format '{{.Id}} {{index .Config.Labels \"discovery.consul.context\"}}' localhost/discovery/registrator:0.1.0"
    (image,) = {node.run(labels) for node in NODES}
    assert re.match(r"sha256:\w+ \w{64}$", image)
    bases = [node.name for node in NODES if "discovery/debian" in node.run("docker images --format '{{.Repository}}'")]
    assert bases in ([], [SERVERS[0].name])  # none where a registry answers
    assert not [node.name for node in NODES if "image" in node.run("ls /var/lib | grep '[.]image$' || true")]


def test_a_service_is_registered_with_its_hosts_agent_at_its_hosts_address() -> None:
    def catalog() -> list[t.Any]:
        return t.cast("list[t.Any]", CLIENT.api("/v1/catalog/service/molecule-web"))

    image = "localhost/discovery/registrator:0.1.0"
    try:
        for node in NODES:
            node.run(
                "docker run --detach --name molecule-web --publish 18080:80 --env SERVICE_NAME=molecule-web --env SERVICE_CHECK_TCP=yes "
                f"--env SERVICE_CHECK_INTERVAL=1s --user 0 --entrypoint python3 {image} -m http.server 80"
            )
        until("all are registered", lambda: len(catalog()) == len(NODES))
        wanted = {(node.name, node.address, 18080) for node in NODES}
        assert {(one["Node"], one["ServiceAddress"] or one["Address"], one["ServicePort"]) for one in catalog()} == wanted
        for node in NODES:
            own = [one for one in node.api("/v1/agent/services").values() if one["Service"] == "molecule-web"]
            assert [(one["Address"], one["Port"]) for one in own] == [(node.address, 18080)]
        for node in NODES:
            until(f"{node.name} resolves all of them", lambda node=node: resolve(node, "molecule-web.service.consul") == addresses(NODES))
    finally:
        for node in NODES:
            node.run("docker rm --force molecule-web")
    until("none is left", lambda: not catalog())


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_programs_on_hosts_and_in_containers_find_the_others(node: Node) -> None:
    image = node.run(f"docker inspect --format '{{{{.Config.Image}}}}' {node.name}").strip()
    for command in ("getent", f"docker run --rm --entrypoint getent {image}"):
        for other in NODES:
            assert node.run(f"{command} hosts {other.name}.node.consul").split()[0] == other.address


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_dns_on_each_host_knows_the_others(node: Node) -> None:
    assert resolve(node, "consul.service.consul") == addresses(SERVERS)
    for other in NODES:
        assert resolve(node, f"{other.name}.node.consul") == [other.address]


def test_one_host_alone_is_converged_without_facts_of_the_others(play: Play) -> None:
    output = play("discovery.consul.site", "--limit", CLIENT.host, "--check", "--tags", "consul,health")
    assert re.search(rf"{re.escape(CLIENT.host)} +: ok=\d+ +changed=0 +unreachable=0 +failed=0", output)


def play_without_addresses(play: Play, folder: pathlib.Path, variables: dict[str, str], code: int = 0) -> str:
    """One host of an inventory that does not name addresses, and names how to find them instead."""
    inventory = {"all": {"hosts": {CLIENT.host: {"consul_agent_advertise_addr": "", "consul_agent_interface": "", **variables}}}}
    (folder / "hosts.json").write_text(json.dumps(inventory))
    return play("discovery.consul.site", f"--inventory={folder / 'hosts.json'}", "--limit", CLIENT.host, "--check", "--tags", "consul", code=code)


@pytest.mark.parametrize(
    "variables", [{"consul_agent_interface": "eth0"}, {"consul_agent_cidr": "10.213.0.0/24"}, {}], ids=["interface", "network", "only one"]
)
def test_an_address_is_found_on_the_host(play: Play, tmp_path: pathlib.Path, variables: dict[str, str]) -> None:
    output = play_without_addresses(play, tmp_path, variables)
    assert re.search(rf"{re.escape(CLIENT.host)} +: ok=\d+ +changed=0 +unreachable=0 +failed=0", output)
    assert "Choose the address that the cluster uses" in output


def test_a_host_with_two_private_addresses_and_none_named_is_refused(play: Play, tmp_path: pathlib.Path) -> None:
    CLIENT.run("ip address add 192.168.77.1/24 dev eth0")
    try:
        output = play_without_addresses(play, tmp_path, {}, code=2)
    finally:
        CLIENT.run("ip address del 192.168.77.1/24 dev eth0")
    words = (
        f"{CLIENT.host} has several addresses: {CLIENT.address} on eth0, 192.168.77.1 on eth0. Say which one the cluster uses with consul_agent_advertise_addr"
    )
    assert words in re.sub(r"\s+", " ", output)


def resolve(node: Node, name: str) -> list[str]:
    """What the node answers on its host's loopback; over TCP, as Consul puts no more than three addresses into UDP."""
    code = (
        f"import dns.message, dns.query; q = dns.message.make_query('{name}', 'A');"
        "a = dns.query.tcp(q, '127.0.0.1', timeout=5, port=8600); print(*sorted(r.address for s in a.answer for r in s))"
    )
    return node.run(f"{PYTHON} -c {shlex.quote(code)}").split()


def addresses(nodes: list[Node]) -> list[str]:
    return sorted(node.address for node in nodes)


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_from_another_machine_only_what_is_meant_to_answers(node: Node) -> None:
    meant = {22, 8300, 8301, 8302, 8501} if node.server else {22, 8301}
    assert {port for port in (22, *range(8300, 8303), 8400, *range(8500, 8504), 8600, *range(21000, 21004)) if answers(node.address, port)} == meant


def answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def test_https_lets_nobody_do_anything_without_a_token(cluster: Cluster) -> None:
    trusted = ssl.create_default_context(cafile=str(SECRETS / "ca.pem"))
    for node in SERVERS:
        for path in ("/v1/agent/self", "/v1/kv/molecule/kept", "/v1/operator/raft/configuration"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"https://{node.address}:8501{path}", context=trusted, timeout=10)
