# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions over DNS, to a server of our own on UDP and TCP."""

from __future__ import annotations

import socket
import sys
import threading
import typing as t
from contextlib import contextmanager

import dns.message
import dns.rcode
import dns.rrset
import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import dns as ours
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import LibraryMissingError

NAME = "consul.service.consul."
RECORDS = {"A": ["10.0.0.2", "10.0.0.1"], "AAAA": ["fd00::1"]}


def reply(wire: bytes, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> bytes:
    query = dns.message.from_wire(wire)
    answer = dns.message.make_response(query)
    answer.set_rcode(rcode)
    kind = query.question[0].rdtype.name
    if rcode == dns.rcode.NOERROR:
        answer.answer.append(dns.rrset.from_text(NAME, 0, "IN", kind, *RECORDS[kind]))
    return answer.to_wire()


@contextmanager
def udp_server(answers: list[t.Callable[[bytes], bytes | None]]) -> t.Iterator[str]:
    """Each datagram gets the next of the answers; None is a lost one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            for answer in answers:
                wire, peer = server.recvfrom(512)
                sent = answer(wire)
                if sent is not None:
                    server.sendto(sent, peer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def tcp_server() -> t.Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _address = server.accept()
            with peer:
                size = int.from_bytes(peer.recv(2), "big")
                sent = reply(peer.recv(size))
                peer.sendall(len(sent).to_bytes(2, "big") + sent)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_over_udp() -> None:
    with udp_server([reply]) as endpoint:
        answer = ours.lookup(endpoint, NAME, ["A"], "udp", 2)
    assert (answer.good, answer.data) == (True, ["10.0.0.1", "10.0.0.2"])


def test_over_tcp() -> None:
    with tcp_server() as endpoint:
        assert ours.lookup(endpoint, NAME, ["A"], "tcp", 2).data == ["10.0.0.1", "10.0.0.2"]


def test_both_kinds_of_addresses() -> None:
    with udp_server([reply, reply]) as endpoint:
        assert ours.lookup(endpoint, NAME, ["A", "AAAA"], "udp", 2).data == ["10.0.0.1", "10.0.0.2", "fd00::1"]


def test_one_lost_datagram_is_no_fault() -> None:
    with udp_server([lambda wire: None, reply]) as endpoint:
        assert ours.lookup(endpoint, NAME, ["A"], "udp", 0.3).good


def test_two_lost_datagrams_are() -> None:
    with udp_server([lambda wire: None, lambda wire: None]) as endpoint:
        answer = ours.lookup(endpoint, NAME, ["A"], "udp", 0.1)
    assert answer.status is None
    assert "Timeout" in answer.trouble


def test_no_such_name() -> None:
    with udp_server([lambda wire: reply(wire, dns.rcode.NXDOMAIN)]) as endpoint:
        answer = ours.lookup(endpoint, NAME, ["A"], "udp", 2)
    assert (answer.good, answer.error) == (False, "NXDOMAIN")


def test_nobody_listens() -> None:
    answer = ours.lookup("127.0.0.1:1", NAME, ["A"], "tcp", 2)
    assert "refused" in answer.trouble


@pytest.mark.parametrize(
    ("endpoint", "parts"), [("10.0.0.1:53", ("10.0.0.1", 53)), ("10.0.0.1", ("10.0.0.1", 8600)), ("[::1]:53", ("::1", 53)), ("[::1]", ("::1", 8600))]
)
def test_endpoints(endpoint: str, parts: tuple[str, int]) -> None:
    assert ours.split(endpoint) == parts


@pytest.mark.parametrize("endpoint", ["host:port", ":53", ""])
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ValueError, match="Write it like"):
        ours.split(endpoint)


def test_a_missing_library_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.query", None)
    with pytest.raises(LibraryMissingError) as raised:
        ours.check_library()
    assert raised.value.name == "dnspython"
