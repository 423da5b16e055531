# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine says about itself: its name and the address that others reach it by."""

from __future__ import annotations

import ipaddress
import socket

# Addresses of the documentation ranges: connecting a UDP socket sends nothing, it only asks the routing table.
FAR_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def hostname() -> str:
    return socket.gethostname()


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
