# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From variables of the inventory to the nodes that are expected."""

from __future__ import annotations

from ansible_collections.discovery.consul.plugins.filter.expected_nodes import FilterModule, expected_nodes


def test_servers_are_asked_and_clients_where_their_url_is_given() -> None:
    hostvars = {
        "a.example.org": {"consul_agent_node_name": "server1", "consul_agent_advertise_addr": "10.0.0.1", "consul_agent_dns_endpoint": "10.0.0.1:8600"},
        "b.example.org": {"consul_agent_advertise_addr": "10.0.0.2"},
        "c": {"consul_agent_http_url": "http://10.0.0.3:8500"},
        "d": {},
    }
    assert expected_nodes(["b.example.org", "a.example.org"], hostvars, server=True) == [
        {"name": "b", "address": "10.0.0.2", "http": "https://10.0.0.2:8501"},
        {"name": "server1", "address": "10.0.0.1", "http": "https://10.0.0.1:8501", "dns": "10.0.0.1:8600"},
    ]
    assert expected_nodes(["b.example.org", "c", "d"], hostvars) == [
        {"name": "b", "address": "10.0.0.2"},
        {"name": "c", "http": "http://10.0.0.3:8500"},
        {"name": "d"},
    ]
    assert expected_nodes([], hostvars) == []


def test_the_filter_goes_by_its_name() -> None:
    assert FilterModule().filters() == {"expected_nodes": expected_nodes}
