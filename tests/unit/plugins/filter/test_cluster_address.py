# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a host's addresses the cluster uses, and what is said when that cannot be told."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.cluster_address import FilterModule, cluster_address

FACTS: dict[str, t.Any] = {
    "interfaces": ["lo", "eth0", "eth1.5", "bond-a", "docker0", "br-1a2b", "down0"],
    "lo": {"ipv4": {"address": "127.0.0.1"}},
    "eth0": {"ipv4": {"address": "10.0.0.11"}, "ipv4_secondaries": [{"address": "10.0.0.99"}], "ipv6": [{"address": "fe80::1"}, {"address": "2001:db8::11"}]},
    "eth1.5": {"ipv4": {"address": "192.168.5.11"}},
    "bond_a": {"ipv6": [{"address": "fd00::11"}]},
    "docker0": {"ipv4": {"address": "172.17.0.1"}},
    "br_1a2b": {"ipv4": {"address": "172.30.0.1"}},
    "down0": {},
}


def only(*interfaces: str) -> dict[str, t.Any]:
    return {**FACTS, "interfaces": list(interfaces)}


@pytest.mark.parametrize(
    ("facts", "interface", "cidr", "address"),
    [
        (only("lo", "eth1.5", "docker0", "br-1a2b"), "", "", "192.168.5.11"),
        (FACTS, "eth0", "", "10.0.0.11"),
        (FACTS, "bond-a", "", "fd00::11"),
        (FACTS, "docker0", "", "172.17.0.1"),
        (FACTS, "", "192.168.5.0/24", "192.168.5.11"),
        (FACTS, "", "2001:db8::/64", "2001:db8::11"),
        (FACTS, "eth0", "10.0.0.99/32", "10.0.0.99"),
    ],
)
def test_the_one_that_is_meant(facts: dict[str, t.Any], interface: str, cidr: str, address: str) -> None:
    assert cluster_address(facts, "web1", interface, cidr) == address


@pytest.mark.parametrize(
    ("facts", "interface", "cidr", "words"),
    [
        (FACTS, "", "", "web1 has several addresses: 10.0.0.11 on eth0, 10.0.0.99 on eth0, 192.168.5.11 on eth1.5. Say which one"),
        (FACTS, "", "10.0.0.0/24", "web1 has several addresses: 10.0.0.11 on eth0, 10.0.0.99 on eth0. Say which one"),
        (FACTS, "eth9", "", "web1 has no interface eth9, which consul_agent_interface names. It has 10.0.0.11 on eth0"),
        (FACTS, "down0", "", "web1 has no address on down0; it has 10.0.0.11 on eth0"),
        (FACTS, "eth0", "192.168.5.0/24", "web1 has no address on eth0 in 192.168.5.0/24; it has"),
        (only("lo"), "", "", "web1 has no address that is private; it has no address. Say which one the cluster uses with consul_agent_advertise_addr"),
        (FACTS, "", "10.0.0.11/24", "consul_agent_cidr is no network: 10.0.0.11/24 has host bits set. Write it like 10.0.0.0/24."),
        ({}, "eth0", "", "web1 has no interface eth0"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_lists_them(facts: dict[str, t.Any], interface: str, cidr: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        cluster_address(facts, "web1", interface, cidr)
    assert words in str(error.value)


def test_the_filter_goes_by_its_name() -> None:
    assert FilterModule().filters() == {"cluster_address": cluster_address}
