# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof that names are found, with answers of the test's own."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import dns_proof
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer

SERVER = "127.0.0.53:53"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_proof, "POLL", 0)


def test_what_is_not_found_at_first_is_asked_for_again_and_nothing_else() -> None:
    asked: t.List[t.Tuple[str, str]] = []

    def asks(server: str, name: str, transport: str, timeout: float) -> Answer:
        asked.append((name, transport))
        return Answer(status=200, data=["10.0.0.1"]) if name == "a" or len(asked) > 4 else Answer(error="NXDOMAIN")

    rows = dns_proof.prove(SERVER, ["a", "b"], ["udp", "tcp"], 60, 1, asks)
    assert dns_proof.verdict(rows, SERVER, "On the host") == ""
    assert asked == [("a", "udp"), ("a", "tcp"), ("b", "udp"), ("b", "tcp"), ("b", "udp"), ("b", "tcp")]


def test_what_failed_is_said_with_its_way_and_its_reason() -> None:
    answers = {"udp": Answer(status=200, data=["10.0.0.1"]), "tcp": Answer(error="Timeout"), "libc": Answer(status=200, data=[])}
    rows = dns_proof.prove(SERVER, ["a"], ["udp", "tcp", "libc"], 0, 1, lambda _server, _name, transport, _timeout: answers[transport])
    said = dns_proof.verdict(rows, SERVER, "In a container")
    assert said == "In a container: a is not found over TCP from 127.0.0.53:53 (Timeout); a is not found by the C library (no address)."


def test_the_first_server_is_the_one_that_is_asked() -> None:
    assert dns_proof.first_server("# x\nnameserver fd00::1\nnameserver 10.0.0.2\n", "it") == "[fd00::1]:53"
    assert dns_proof.first_server("nameserver 10.0.0.2\n", "it") == "10.0.0.2:53"
    with pytest.raises(dns_proof.ProofError, match="it names no server"):
        dns_proof.first_server("search x\n", "it")


class Engine:
    """Images and containers of the test's own."""

    def __init__(self, images: t.List[str], running: t.List[t.Dict[str, str]]) -> None:
        self.images, self.api = images, self
        self.running = running

    def image(self, name: str) -> t.Optional[str]:
        return name if name in self.images else None

    def containers(self) -> t.List[t.Dict[str, str]]:
        return self.running


def test_an_image_is_one_that_the_engine_holds() -> None:
    def chosen(*arguments: t.Any) -> str:
        return dns_proof.an_image(t.cast("t.Any", Engine(*arguments)), ["b", "c"])

    assert chosen(["c"], []) == "c"
    assert chosen([], [{"ImageID": "sha256:1"}]) == "sha256:1"
    with pytest.raises(dns_proof.ProofError, match="none of the images b, c"):
        chosen([], [])
