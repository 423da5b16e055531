# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Questions to Consul's DNS interface. dnspython is imported only when one is asked."""

from __future__ import annotations

import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, LibraryMissingError


def check_library() -> None:
    """Refuse a missing dnspython."""
    from importlib import import_module

    try:
        import_module("dns.query")
    except ImportError as exc:
        raise LibraryMissingError("dnspython", str(exc)) from exc


def lookup(endpoint: str, name: str, kinds: t.Iterable[str], transport: str, timeout: float) -> Answer:
    """The addresses that `endpoint` (HOST:PORT) gives for `name`; `kinds` are A and AAAA, `transport` is udp or tcp."""
    import dns.exception
    import dns.message
    import dns.query
    import dns.rcode

    host, port = split(endpoint)
    url = f"dns+{transport}://{endpoint}/{name}"
    ask = dns.query.udp if transport == "udp" else dns.query.tcp
    addresses: list[str] = []
    try:
        for kind in kinds:
            query = dns.message.make_query(name, kind)
            try:
                reply = ask(query, _numeric(host), timeout=timeout, port=port)
            except dns.exception.Timeout:  # a datagram may get lost, two in a row hardly
                reply = ask(query, _numeric(host), timeout=timeout, port=port)
            if reply.rcode() != dns.rcode.NOERROR:
                return Answer(url=url, error=dns.rcode.to_text(reply.rcode()))
            addresses += [record.address for answer in reply.answer for record in answer if hasattr(record, "address")]
    except (dns.exception.DNSException, OSError, EOFError) as exc:
        return Answer(url=url, error=f"{type(exc).__name__}: {exc}")
    return Answer(url=url, status=200, data=sorted(set(addresses)))


def split(endpoint: str) -> tuple[str, int]:
    """`10.0.0.11:8600` or `[fd00::11]:8600`; port 8600 when none is given."""
    host, colon, port = endpoint.rpartition(":")
    if not colon or endpoint.endswith("]"):
        host, port = endpoint, "8600"
    if not port.isdigit() or not host:
        raise ValueError(f"{endpoint} is no HOST:PORT. Write it like 10.0.0.11:8600.")
    return host.strip("[]"), int(port)


def _numeric(host: str) -> str:
    """dnspython asks addresses only."""
    import socket

    return str(socket.getaddrinfo(host, None)[0][4][0])
