# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where servers are joined, with and without knowing what was looked up on them."""

from __future__ import annotations

from ansible_collections.discovery.consul.plugins.filter.join_addresses import FilterModule, join_addresses


def test_given_addresses_first_then_where_ansible_reaches_the_host() -> None:
    hostvars = {
        "given": {"consul_agent_advertise_addr": "10.0.0.1", "ansible_host": "192.0.2.1"},
        "reached": {"ansible_host": "192.0.2.2"},
        "named": {},
        "here": {"ansible_connection": "local"},
        "here_given": {"ansible_connection": "local", "consul_agent_advertise_addr": "172.30.0.11"},
    }
    assert join_addresses(hostvars, hostvars) == ["10.0.0.1", "192.0.2.2", "named", "172.30.0.11"]


def test_an_address_that_was_looked_up_changes_nothing() -> None:
    before = {"a": {"ansible_host": "192.0.2.1", "consul_agent_interface": "eth1", "consul_agent_advertise_addr": ""}}
    after = {"a": {**before["a"], "consul_agent_advertise_addr": "10.0.0.1", "consul_agent_address_found": True}}
    assert join_addresses(["a"], before) == join_addresses(["a"], after) == ["192.0.2.1"]


def test_the_filter_goes_by_its_name() -> None:
    assert FilterModule().filters() == {"join_addresses": join_addresses}
