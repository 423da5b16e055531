# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that are kept, and what becomes of them."""

from __future__ import annotations

import socket
import threading
import typing as t

import pytest
from agent import Agent
from registrator.connection import Connections, Security
from registrator.registry import RegistryError

BODY = b"{}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers so many requests on each connection, in turn; it ends a connection after them, or when it has read one request more."""

    def __init__(self, counts: t.Sequence[int], *, reads_one_more: bool = False) -> None:
        self.connections = 0
        self.ended = threading.Event()
        self._counts, self._reads_one_more = counts, reads_one_more
        self._listener = socket.create_server(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.client = Connections(base, Security(user=("user", "pass")), "", 5.0, 5.0)
        threading.Thread(target=self._serve, daemon=True).start()

    def ask(self) -> bytes:
        return self.client.request("PUT", "/x", {}, BODY).content

    def _serve(self) -> None:
        for count in self._counts:
            connection, _address = self._listener.accept()
            self.connections += 1
            with connection:
                for _request in range(count):
                    read(connection)
                    connection.sendall(ANSWER)
                if self._reads_one_more:
                    read(connection)
            self.ended.set()


def read(connection: socket.socket) -> None:
    """Read a request, whose body ends it."""
    data = b""
    while not data.endswith(BODY):
        data += connection.recv(65536)


def test_one_connection_serves_many_requests() -> None:
    server = Server([21])
    assert {server.ask() for _time in range(20)} == {b"ok"}
    assert server.connections == 1
    assert not server.client.is_hung_up()


def test_a_connection_that_was_closed_while_it_was_idle_is_not_used_again() -> None:
    server = Server([1, 1])
    server.ask()
    assert server.ended.wait(10)
    assert server.client.is_hung_up()
    assert (server.ask(), server.connections) == (b"ok", 2)


def test_a_connection_that_is_closed_just_when_it_is_used_again_is_replaced() -> None:
    server = Server([1, 1], reads_one_more=True)
    server.ask()
    assert (server.ask(), server.connections) == (b"ok", 2)


def test_what_was_asked_for_on_a_new_connection_is_not_asked_for_again() -> None:
    server = Server([0, 1], reads_one_more=True)
    with pytest.raises(OSError):
        server.ask()
    assert (server.ask(), server.connections) == (b"ok", 2)


@pytest.mark.parametrize("token", ["se\ncret", "se\u20accret"])
def test_a_token_that_no_request_can_have_is_not_told(agent: Agent, token: str) -> None:
    with pytest.raises(RegistryError, match="characters that no request can have") as error:
        agent.registry(CONSUL_HTTP_TOKEN=token).ping()
    assert "cret" not in str(error.value)
    assert agent.paths == []


def test_an_authority_that_cannot_be_read_is_named(agent: Agent) -> None:
    with pytest.raises(RegistryError, match=r"/none/ca\.pem cannot be read"):
        agent.registry("consul-tls", CONSUL_CACERT="/none/ca.pem").ping()


def test_a_server_that_no_authority_vouches_for_gets_no_request(agent: Agent) -> None:
    with pytest.raises(RegistryError):
        agent.registry("consul-tls").ping()
    assert agent.paths == []
