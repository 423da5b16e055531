# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own address."""

from __future__ import annotations

import ipaddress
import socket
import types
import typing as t

import pytest
from registrator import host_address


def listed(*texts: str) -> t.List[t.Any]:
    families = {text: socket.AF_INET6 if ":" in text else socket.AF_INET for text in texts}
    mac = types.SimpleNamespace(family=socket.AF_PACKET, address="00:00:00:00:00:01")
    return [mac, *(types.SimpleNamespace(family=family, address=text) for text, family in families.items())]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"lo": listed("127.0.0.1", "::1"), "eth0": listed("fe80::7%eth0", "2001:db8::7"), "eth1": listed("10.1.2.3", "192.168.7.7")}
    monkeypatch.setattr(host_address.psutil, "net_if_addrs", lambda: found)


@pytest.mark.parametrize("source, wanted", [("192.168.0.0/16", "192.168.7.7"), ("10.0.0.0/8", "10.1.2.3"), ("2001:db8::/32", "2001:db8::7")])
def test_an_address_in_a_network(machine: None, source: str, wanted: str) -> None:
    assert host_address.address(source) == wanted


def test_an_interface_with_ipv6_only(machine: None) -> None:
    assert host_address.addresses("eth0")[-1] == "2001:db8::7"


@pytest.mark.parametrize("source", ["172.30.0.0/16", "none0"])
def test_there_is_none(machine: None, source: str) -> None:
    with pytest.raises(host_address.AddressError, match=f"-address-from {source}"):
        host_address.address(source)


def test_the_loopback_interface_has_its_address() -> None:
    assert host_address.addresses("lo")[0] == "127.0.0.1"


def test_the_default_address_is_one_of_this_host() -> None:
    found = host_address.default_address()
    assert found in {*host_address.addresses(), "127.0.0.1"}
    assert ipaddress.ip_address(found)


@pytest.mark.parametrize("text, wanted", [("127.0.1.1", False), ("::1", False), ("0.0.0.0", False), ("fe80::1", False), ("host", False), ("10.0.0.1", True)])
def test_which_addresses_others_can_reach(text: str, wanted: bool) -> None:
    assert host_address.is_reachable(text) is wanted
