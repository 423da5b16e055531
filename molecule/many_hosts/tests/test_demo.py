# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration on hosts that are not those of the four nodes: its image is built where images are built, and Consul is stopped on every host."""

from __future__ import annotations

import re
import typing as t

from conftest import CLIENT, NODES, SERVERS, Cluster, started

Play = t.Callable[..., str]


def test_the_demonstration_runs_on_the_host_of_a_client_and_stops_consul_on_all_when_it_is_told_to(play: Play, cluster: Cluster) -> None:
    before = started(NODES)
    try:
        output = re.sub(r"\s+", " ", play("discovery.consul.demo", "-e", "demo_faults=yes"))
        held = {node.name: node.run("docker images --quiet localhost/discovery/demo").strip() for node in NODES}
    finally:
        play("discovery.consul.demo", "-e", "demo_state=absent")
    assert re.search(r"\d+ calls, \d+ of them with a second try, 0 failed", output), output[-3000:]
    assert output.index("Consul's leader was killed") < output.index("Consul is stopped altogether") < output.index("Consul was started again")
    assert {name for name, image in held.items() if image} == {SERVERS[0].name, CLIENT.name}
    assert held[SERVERS[0].name] == held[CLIENT.name]
    assert not set(before) & set(started(NODES)), "a node was not stopped"
    assert "demo" not in CLIENT.run("docker ps --all --format '{{.Names}}'")
    cluster.is_healthy_again()
