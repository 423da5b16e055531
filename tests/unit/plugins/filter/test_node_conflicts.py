# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two nodes of an inventory must not share."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.node_conflicts import node_conflicts

ONE: dict[str, t.Any] = {"consul_agent_advertise_addr": "10.0.0.1", "consul_agent_published_ports": ["127.0.0.1:8500:8500/tcp"], "ansible_connection": "local"}
TWO: dict[str, t.Any] = {"consul_agent_advertise_addr": "10.0.0.2", "consul_agent_published_ports": ["127.0.0.1:8500:8500/udp"], "ansible_connection": "local"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"consul_agent_node_name": "a"}, "a and b have the same node name: a."),
        ({"consul_agent_advertise_addr": "10.0.0.1"}, "a and b have the same address: 10.0.0.1."),
        ({"consul_agent_published_ports": ["127.0.0.1:8500:9500"]}, "a and b have the same port: 127.0.0.1:8500/tcp on this machine."),
    ],
)
def test_each_clash_is_a_sentence(change: dict[str, t.Any], words: str) -> None:
    assert node_conflicts(["a", "b"], {"a": ONE, "b": TWO}) == []
    (found,) = node_conflicts(["a", "b"], {"a": ONE, "b": {**TWO, **change}})
    assert found.startswith(words)


def test_the_same_port_on_two_machines_is_none() -> None:
    ports = {"consul_agent_published_ports": ["8500:8500"]}
    assert node_conflicts(["a", "b"], {"a": {**ports, "ansible_host": "10.0.0.1"}, "b": {**ports, "ansible_host": "10.0.0.2"}}) == []
