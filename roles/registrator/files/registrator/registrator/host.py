# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine says about itself: its name and the address that others reach it by."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
import typing as t

SIOCGIFADDR = 0x8915  # linux/sockios.h
INTERFACE_NAME_BYTES = 15

# Addresses of the documentation ranges: connecting a UDP socket sends nothing, it only asks the routing table.
FAR_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


class AddressError(Exception):
    """The host has no address as it was asked for. The message is one line for the user."""


def hostname() -> str:
    return socket.gethostname()


def address(source: str) -> str:
    """Return the host's address: on an interface, in a CIDR, or, where ``source`` is empty, of the default route."""
    if not source:
        return default_address()
    try:
        network = ipaddress.ip_network(source, strict=False)
    except ValueError:
        found = interface_addresses(source)
    else:
        found = [text for text in all_addresses() if ipaddress.ip_address(text) in network]
    if not found:
        raise AddressError(f"-address-from {source}: no such interface, or no address of this host is in it")
    return found[0]


def default_address() -> str:
    """Return the address that the default route leaves by, IPv4 first; never loopback unless there is nothing else.

    The original resolves its own host name, which /etc/hosts often answers with 127.0.1.1.
    """
    for family, far_away in FAR_AWAY:
        found = _source_address(family, far_away)
        if found:
            return found
    try:
        answers = socket.getaddrinfo(hostname(), None, type=socket.SOCK_DGRAM)
    except OSError:
        answers = []
    addresses = [str(answer[4][0]) for answer in answers]
    return next((address for address in addresses if is_reachable(address)), "127.0.0.1")


def is_reachable(text: str) -> bool:
    """Tell whether another machine could use this address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_link_local)


def _source_address(family: int, far_away: str) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far_away, 9))
        except OSError:
            return ""
        address = str(probe.getsockname()[0])
    return address if is_reachable(address) else ""


def interface_addresses(name: str) -> t.List[str]:
    """Return the addresses of an interface, IPv4 first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            request = struct.pack("256s", name.encode()[:INTERFACE_NAME_BYTES])
            four = [socket.inet_ntoa(fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)[20:24])]
        except OSError:
            four = []
    return four + [text for interface, text in _ipv6_addresses() if interface == name]


def all_addresses() -> t.List[str]:
    """Return every address of this host that another machine could use, IPv4 first."""
    local: t.List[str] = []
    previous = ""
    for line in _lines("/proc/net/fib_trie"):
        # A host's own address is the entry before a line such as `/32 host LOCAL`.
        if line.split()[-2:] == ["host", "LOCAL"] and previous not in local:
            local.append(previous)
        previous = line.split()[-1]
    return [text for text in local + [text for _name, text in _ipv6_addresses()] if is_reachable(text)]


def _ipv6_addresses() -> t.List[t.Tuple[str, str]]:
    """Return (interface, address) of what others can reach."""
    found = []
    for line in _lines("/proc/net/if_inet6"):
        digits, *_columns, interface = line.split()
        text = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
        if is_reachable(text):
            found.append((interface, text))
    return found


def _lines(path: str) -> t.List[str]:
    try:
        with open(path, encoding="ascii") as file:
            return [line for line in file.read().splitlines() if line.strip()]
    except OSError:
        return []
