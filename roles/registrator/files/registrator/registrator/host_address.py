# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address that other machines reach this host by."""

from __future__ import annotations

import ipaddress
import socket
import typing as t

import psutil

# Addresses of the documentation ranges: connecting a UDP socket sends nothing, it only asks the routing table.
FAR_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
FAMILIES = (socket.AF_INET, socket.AF_INET6)


class AddressError(Exception):
    """The host has no address as it was asked for. The message is one line for the user."""


def address(source: str) -> str:
    """Return the host's address: on an interface, in a CIDR, or, where ``source`` is empty, of the default route."""
    if not source:
        return default_address()
    try:
        network = ipaddress.ip_network(source, strict=False)
    except ValueError:
        found = addresses(source)
    else:
        found = [text for text in addresses() if ipaddress.ip_address(text) in network]
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
        answers = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_DGRAM)
    except OSError:
        answers = []
    named = [str(answer[4][0]) for answer in answers]
    return next((address for address in named if is_reachable(address)), "127.0.0.1")


def addresses(interface: str = "") -> t.List[str]:
    """Return the addresses of an interface, or those of all interfaces that another machine could use, IPv4 first."""
    every = psutil.net_if_addrs()
    chosen = [one for name in every if interface in ("", name) for one in every[name]]
    texts = [one.address.partition("%")[0] for family in FAMILIES for one in chosen if one.family == family]
    # Who names an interface gets even loopback's address; only what is good on one link alone is of no use to anybody.
    return [text for text in texts if is_reachable(text) or (interface and not ipaddress.ip_address(text).is_link_local)]


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
