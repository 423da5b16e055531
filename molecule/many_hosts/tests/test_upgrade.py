# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another release on all nodes. It is the last that happens to this cluster, so that none of its nodes has to go back to the former one."""

from __future__ import annotations

import typing as t

from conftest import ADDED, FIFTH, Cluster, Commands, secret, started

Play = t.Callable[..., str]

NEWER = "localhost/molecule/consul:newer"


def test_an_upgrade_takes_the_servers_one_by_one_and_then_the_clients(play: Play, cluster: Cluster) -> None:
    nodes = cluster.nodes
    image = nodes[0].run(f"docker inspect --format '{{{{.Config.Image}}}}' {nodes[0].name}").strip()
    for node in nodes:
        node.run(f"printf 'FROM {image}\\nLABEL molecule=newer\\n' | docker build --quiet --tag {NEWER} -")
    with Commands() as commands:
        fifth = [FIFTH] if ADDED in nodes else []
        play("discovery.consul.upgrade", *fifth, "-e", f"consul_agent_image={NEWER}", "-e", '{"container_image_list": []}')
    assert {node.run(f"docker inspect --format '{{{{.Config.Image}}}}' {node.name}").strip() for node in nodes} == {NEWER}
    times = list(zip(started(nodes), nodes))
    assert max(time for time, node in times if node.server) < min(time for time, node in times if not node.server)
    assert not [line for line in commands.seen if secret("management") in line]
    cluster.is_healthy_again()
