# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens to hosts: one more comes, some are switched off, lose their disk or their network. The data stay."""

from __future__ import annotations

import re
import subprocess
import typing as t
import uuid

import pytest
from conftest import ADDED, CLIENT, FIFTH, NODES, SERVERS, Cluster, Node, docker, shown

Play = t.Callable[..., str]


@pytest.fixture
def kept(cluster: Cluster) -> t.Iterator[str]:
    """A key that is written before and must be there after, on a cluster that is healthy before and after."""
    cluster.is_healthy_again()
    value = uuid.uuid4().hex
    CLIENT.writes("molecule/kept", value)
    yield value
    cluster.is_healthy_again()
    assert {node.read("molecule/kept") for node in cluster.nodes} == {value}
    CLIENT.ask("/v1/kv/molecule/kept", value)


def test_a_fifth_host_is_added_by_the_inventory_alone(cluster: Cluster, play: Play, kept: str) -> None:
    def running() -> list[str]:
        return [node.run("docker ps --format '{{.ID}} {{.Names}}'; docker inspect --format '{{.State.StartedAt}}' $(docker ps --quiet)") for node in NODES]

    before = running()
    output = play("discovery.consul.site", FIFTH)
    assert running() == before
    assert re.search(rf"{re.escape(ADDED.host)} +: ok=\d+ +changed=[1-9]", output)
    assert ADDED in cluster.nodes
    assert {member["Name"] for member in ADDED.api("/v1/agent/members")} == {node.name for node in cluster.nodes}
    assert "changed=0" in play("discovery.consul.site", FIFTH, "--check", "--limit", ADDED.host)
    assert "The cluster is healthy." in play("discovery.consul.health", FIFTH)


def test_the_leaders_host_is_switched_off_and_on(cluster: Cluster, kept: str) -> None:
    leader = cluster.leader()
    docker("stop", leader.machine)
    try:
        result = cluster.becomes("degraded")
        assert (result["leader"]["name"] != leader.name, "servers" in result["failed_rules"]) == (True, True), shown(result)
        CLIENT.writes("molecule/meanwhile", leader.name)
    finally:
        docker("start", leader.machine)
    cluster.is_healthy_again()
    assert leader.read("molecule/meanwhile") == leader.name


def test_all_hosts_lose_power_at_once(cluster: Cluster, kept: str) -> None:
    """One of them runs a server that was reloaded before, with a new certificate."""
    machines = [node.machine for node in cluster.nodes]
    docker("kill", *machines)
    try:
        cluster.becomes("unavailable")
    finally:
        docker("start", *machines)
    cluster.is_healthy_again()


def test_a_server_loses_its_disk(cluster: Cluster, play: Play, kept: str) -> None:
    lost = next(node for node in SERVERS if node != cluster.leader())
    before = lost.api("/v1/agent/self")["Config"]["NodeID"]
    volume = lost.run(f"docker inspect --format '{{{{range .Mounts}}}}{{{{if eq .Type \"volume\"}}}}{{{{.Name}}}}{{{{end}}}}{{{{end}}}}' {lost.name}").strip()
    lost.run(f"docker rm --force {lost.name} && docker volume rm {volume}")
    cluster.becomes("degraded")
    CLIENT.writes("molecule/meanwhile", lost.name)
    play("discovery.consul.site", *([FIFTH] if ADDED in cluster.nodes else []))
    cluster.is_healthy_again()
    assert lost.api("/v1/agent/self")["Config"]["NodeID"] != before
    assert lost.read("molecule/meanwhile") == lost.name


def test_a_server_is_cut_off_and_writes_go_on_without_it(cluster: Cluster, kept: str) -> None:
    cut = cluster.leader()
    others = [node for node in cluster.nodes if node != cut]
    CLIENT.writes("molecule/minority", "before")
    try:
        partition(cut, others, "--insert")
        result = cluster.becomes("degraded")
        assert result["leader"]["name"] != cut.name, shown(result)
        cluster.becomes("unavailable", ask=[cut.name])
        CLIENT.writes("molecule/majority", "written")
        assert not cut.write("molecule/minority", "written")
    finally:
        partition(cut, others, "--delete")
    cluster.is_healthy_again()
    assert {(node.read("molecule/majority"), node.read("molecule/minority")) for node in cluster.nodes} == {("written", "before")}


def partition(cut: Node, others: list[Node], action: str) -> None:
    """Cut a host off from other hosts, or end that. This machine still reaches it."""
    addresses = ",".join(node.address for node in others)
    for chain, side in (("INPUT", "--source"), ("OUTPUT", "--destination")):
        subprocess.run(["docker", "exec", cut.machine, "iptables", action, chain, side, addresses, "--jump", "DROP"], check=True)
