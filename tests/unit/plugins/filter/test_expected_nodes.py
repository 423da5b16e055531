# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From variables of the inventory to the nodes that are expected."""

from __future__ import annotations

from ansible_collections.discovery.consul.plugins.filter.expected_nodes import FilterModule, expected_nodes


def test_what_is_set_is_taken_and_the_rest_left_out() -> None:
    hostvars = {
        "a": {
            "consul_agent_node_name": "server1",
            "consul_agent_advertise_addr": "10.0.0.1",
            "consul_agent_http_url": "http://10.0.0.1:8500",
            "consul_agent_dns_endpoint": "10.0.0.1:8600",
            "consul_agent_server": True,
        },
        "b": {"consul_agent_advertise_addr": "10.0.0.2", "consul_agent_http_url": ""},
        "c": {},
    }
    assert expected_nodes(["b", "a"], hostvars) == [
        {"name": "b", "address": "10.0.0.2"},
        {"name": "server1", "address": "10.0.0.1", "http": "http://10.0.0.1:8500", "dns": "10.0.0.1:8600"},
    ]
    assert expected_nodes(["c"], hostvars) == [{"name": "c"}]
    assert expected_nodes([], hostvars) == []


def test_the_filter_goes_by_its_name() -> None:
    assert FilterModule().filters() == {"expected_nodes": expected_nodes}
