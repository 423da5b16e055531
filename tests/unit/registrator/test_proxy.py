# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The read-only proxy in front of the engine's socket."""

from __future__ import annotations

import os
import pathlib
import socket
import stat
import threading
import typing as t

import pytest
from registrator.log import Log
from registrator.proxy import LONGEST_HEAD, Proxy, passed_on

ID = "4f" * 32


@pytest.mark.parametrize(
    "line",
    [
        "GET /_ping HTTP/1.1",
        "HEAD /_ping HTTP/1.1",
        "GET /version HTTP/1.1",
        "GET /v1.41/containers/json?all=1&filters=%7B%22status%22%3A%5B%22created%22%5D%7D HTTP/1.1",
        'GET /containers/json?filters={"status":["created"]} HTTP/1.1',
        f"GET /v1.52/containers/{ID}/json HTTP/1.1",
        "GET /containers/web_1.x-2/json HTTP/1.0",
        "GET /events?since=1 HTTP/1.1",
    ],
)
def test_what_registrator_reads_passes(line: str) -> None:
    assert passed_on(line.encode()) == f"{line}\r\nHost: docker\r\n\r\n".encode()


@pytest.mark.parametrize(
    "line",
    [
        "POST /containers/create HTTP/1.1",
        f"POST /containers/{ID}/json HTTP/1.1",
        f"DELETE /containers/{ID} HTTP/1.1",
        "PUT /containers/web/archive?path=/ HTTP/1.1",
        "GET /containers/web/logs?stdout=1 HTTP/1.1",
        "GET /containers/web/archive?path=/etc/shadow HTTP/1.1",
        "GET /containers/web/export HTTP/1.1",
        "GET /containers/web/attach/ws HTTP/1.1",
        "GET /containers/web/top HTTP/1.1",
        "GET /containers/../secrets/json HTTP/1.1",
        "GET /containers/%2e%2e/json HTTP/1.1",
        "GET /containers/a/b/json HTTP/1.1",
        "GET /containers//json HTTP/1.1",
        "GET //version HTTP/1.1",
        "GET /version/../containers/web/export HTTP/1.1",
        "GET /v1.41/v1.41/version HTTP/1.1",
        "GET /info HTTP/1.1",
        "GET /images/json HTTP/1.1",
        "GET /secrets HTTP/1.1",
        "GET /session HTTP/1.1",
        "GET http://docker/version HTTP/1.1",
        "GET /version HTTP/2.0",
        "GET  /version HTTP/1.1",
        "get /version HTTP/1.1",
        "GET /version\nPOST /x HTTP/1.1",
        "GET /events?x=\tHTTP/1.1",
        "GET /version",
        "",
    ],
)
def test_nothing_else_passes(line: str) -> None:
    assert passed_on(line.encode()) is None


def test_no_header_passes_but_that_the_connection_ends() -> None:
    head = b"GET /version HTTP/1.1\r\nContent-Length : 9\r\nTransfer-Encoding: chunked\r\nUpgrade: tcp\r\nconnection: Close\r\nHost: x"
    assert passed_on(head) == b"GET /version HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
    assert passed_on(b"GET /version HTTP/1.1\r\nX: connection: close") == b"GET /version HTTP/1.1\r\nHost: docker\r\n\r\n"


class Doors:
    """The proxy, and an engine's socket behind it that the test answers for."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = str(folder / "proxy.sock")
        self.engine = socket.socket(socket.AF_UNIX)
        self.engine.bind(str(folder / "engine.sock"))
        self.engine.listen()
        self.engine.settimeout(5)
        self.proxy = Proxy(self.path, str(folder / "engine.sock"), Log())
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(self.path)
        return client

    def connected(self) -> t.Tuple[socket.socket, socket.socket]:
        """Return both ends of a connection through the proxy."""
        client = self.connect()
        engine, _address = self.engine.accept()
        engine.settimeout(5)
        return client, engine


@pytest.fixture
def doors(tmp_path: pathlib.Path) -> t.Iterator[Doors]:
    doors = Doors(tmp_path)
    yield doors
    doors.proxy.shutdown()
    doors.proxy.server_close()
    doors.engine.close()


def read_all(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(4096), b""))


def test_only_the_owner_may_connect(doors: Doors) -> None:
    assert stat.S_IMODE(os.stat(doors.path).st_mode) == 0o600


def test_a_stream_is_handed_on_piece_by_piece_and_others_are_answered_meanwhile(doors: Doors) -> None:
    client, engine = doors.connected()
    client.sendall(b"GET /events HTTP/1.1\r\n\r\n")
    assert engine.recv(4096) == b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n"
    other, other_engine = doors.connected()
    for piece in (b"1", b"22", b"333"):
        engine.sendall(piece)
        assert client.recv(4096) == piece
        other.sendall(b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n")
        assert other_engine.recv(4096) == b"GET /version HTTP/1.1\r\nHost: docker\r\n\r\n"
        other_engine.sendall(piece)
        assert other.recv(4096) == piece


def test_either_end_hangs_up_on_both(doors: Doors) -> None:
    client, engine = doors.connected()
    client.close()
    assert engine.recv(4096) == b""
    client, engine = doors.connected()
    engine.close()
    assert client.recv(4096) == b""


@pytest.mark.parametrize("hidden", [b"POST /containers/create HTTP/1.1\r\n\r\n", b"{}\r\n\r\n"])
def test_nothing_hides_behind_a_request_that_may_pass(doors: Doors, hidden: bytes) -> None:
    client, engine = doors.connected()
    client.sendall(b"GET /version HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
    assert read_all(engine) == b"GET /version HTTP/1.1\r\nHost: docker\r\n\r\n"
    assert read_all(client).startswith(b"HTTP/1.1 403 Forbidden\r\n")


def test_a_request_in_pieces_passes_and_one_without_end_does_not(doors: Doors) -> None:
    client, engine = doors.connected()
    for piece in (b"GET /ver", b"sion HTTP/1.1\r", b"\n\r", b"\n"):
        client.sendall(piece)
    assert engine.recv(4096) == b"GET /version HTTP/1.1\r\nHost: docker\r\n\r\n"
    client.sendall(b"x" * (LONGEST_HEAD + 1))
    assert read_all(client) == read_all(engine) == b""


def test_an_engine_that_is_away_is_said(doors: Doors) -> None:
    doors.engine.close()
    assert read_all(doors.connect()).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")


def test_a_socket_that_a_killed_one_left_is_replaced(doors: Doors) -> None:
    doors.proxy.shutdown()
    doors.proxy.server_close()
    doors.proxy = Proxy(doors.path, "nowhere", Log())
    threading.Thread(target=doors.proxy.serve_forever, daemon=True).start()
    assert read_all(doors.connect()).startswith(b"HTTP/1.1 502")
