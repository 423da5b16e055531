# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own address."""

from __future__ import annotations

import ipaddress

import pytest
from registrator import host

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.1.2.3
        /32 host LOCAL
     |-- 10.1.2.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.168.7.7
        /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
fe800000000000000000000000000007 02 40 20 80     eth0
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"/proc/net/fib_trie": FIB_TRIE, "/proc/net/if_inet6": IF_INET6}
    monkeypatch.setattr(host, "_lines", lambda path: files[path].splitlines())


@pytest.mark.parametrize("source, wanted", [("192.168.0.0/16", "192.168.7.7"), ("10.0.0.0/8", "10.1.2.3"), ("2001:db8::/32", "2001:db8::7")])
def test_an_address_in_a_network(machine: None, source: str, wanted: str) -> None:
    assert host.address(source) == wanted


def test_an_interface_with_ipv6_only(machine: None) -> None:
    assert host.interface_addresses("eth0")[-1] == "2001:db8::7"


@pytest.mark.parametrize("source", ["172.30.0.0/16", "none0"])
def test_there_is_none(machine: None, source: str) -> None:
    with pytest.raises(host.AddressError, match=f"-address-from {source}"):
        host.address(source)


def test_the_loopback_interface_has_its_address() -> None:
    assert host.interface_addresses("lo")[0] == "127.0.0.1"


def test_the_default_address_is_one_of_this_host() -> None:
    found = host.default_address()
    assert found in {*host.all_addresses(), "127.0.0.1"}
    assert ipaddress.ip_address(found)


@pytest.mark.parametrize("text, wanted", [("127.0.1.1", False), ("::1", False), ("0.0.0.0", False), ("fe80::1", False), ("host", False), ("10.0.0.1", True)])
def test_which_addresses_others_can_reach(text: str, wanted: bool) -> None:
    assert host.is_reachable(text) is wanted
