# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The read-only proxy in front of the engine's socket: which requests pass, and what becomes of connections."""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import socket
import socketserver
import stat
import threading
import typing as t

import pytest
from registrator import proxy as proxy_module
from registrator.log import Log
from registrator.proxy import LONGEST_HEAD, Proxy
from registrator.proxy_rules import allowed

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
        "GET /containers/json?limit=-1&all=0&size=0&trunc_cmd=0 HTTP/1.1",
    ],
)
def test_what_registrator_reads_passes(line: str) -> None:
    request = allowed(f"{line}\r\nHost: x".encode())
    assert request and f"{request.method} {request.target}" == line.rpartition(" ")[0]


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
        "GET /containers/web/json?size=1 HTTP/1.1",
        "GET /containers/json?size=true HTTP/1.1",
        "GET /containers/json?%73ize=1 HTTP/1.1",
        "GET /containers/json?all=1;size=1 HTTP/1.1",
        "GET /containers/json?size=0&size=yes HTTP/1.1",
        "",
    ],
)
def test_nothing_else_passes(line: str) -> None:
    assert allowed(line.encode()) is None


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An engine's socket: notes all that it is sent, and answers with ``answers`` by the path's last part."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str) -> None:
        self.heads: t.List[bytes] = []
        self.answers: t.Dict[str, bytes] = {"version": b'{"ApiVersion": "1.41", "KernelVersion": "secret"}', "json": b"[]", "_ping": b"OK"}
        self.stream: t.List[socket.socket] = []
        self.streams = threading.Event()
        super().__init__(path, _Answering)


class _Answering(socketserver.BaseRequestHandler):
    server: Engine

    def handle(self) -> None:
        data = b""
        while True:
            piece = self.request.recv(65536)
            if not piece:
                return
            data += piece
            while b"\r\n\r\n" in data:
                head, _end, data = data.partition(b"\r\n\r\n")
                self.server.heads.append(head)
                self._answer(head)

    def _answer(self, head: bytes) -> None:
        what = head.split(b" ")[1].partition(b"?")[0].decode().rpartition("/")[2]
        if what == "events":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.server.stream.append(self.request)
            self.server.streams.set()
            return
        body = self.server.answers[what]
        self.request.sendall(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: %d\r\n\r\n" % len(body) + body * (not head.startswith(b"HEAD")))


class Doors:
    """The proxy, and an engine behind it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = str(folder / "proxy.sock")
        self.engine = Engine(str(folder / "engine.sock"))
        self.proxy = Proxy(self.path, str(folder / "engine.sock"), Log())
        for server in (self.engine, self.proxy):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(self.path)
        return client

    def asked(self, *pieces: bytes) -> bytes:
        """Return all that is answered on one connection."""
        with self.connect() as client:
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def event(self, text: bytes) -> None:
        self.engine.stream[-1].sendall(b"%x\r\n%s\r\n" % (len(text), text))

    def stop(self) -> None:
        for server in (self.engine, self.proxy):
            server.shutdown()
            server.server_close()


@pytest.fixture
def doors(tmp_path: pathlib.Path) -> t.Iterator[Doors]:
    doors = Doors(tmp_path)
    yield doors
    doors.stop()


def read_all(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(4096), b""))


def test_only_the_owner_may_connect(doors: Doors) -> None:
    assert stat.S_IMODE(os.stat(doors.path).st_mode) == 0o600


def test_no_header_passes(doors: Doors) -> None:
    doors.asked(b"GET /version HTTP/1.1\r\nContent-Length : 9\r\nTransfer-Encoding: chunked\r\nUpgrade: tcp\r\nconnection: Close\r\n\r\n")
    assert doors.engine.heads == [b"GET /version HTTP/1.1\r\nHost: docker\r\nAccept-Encoding: identity"]


def test_a_document_passes_without_what_nobody_reads(doors: Doors) -> None:
    answer = doors.asked(b"GET /version HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\nApi-Version: 1.41\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"ApiVersion": "1.41"}
    assert doors.asked(b"HEAD /_ping HTTP/1.1\r\n\r\n").endswith(b"\r\nApi-Version: 1.41\r\n\r\n")


def test_a_connection_is_used_again_and_ends_when_that_is_asked_for(doors: Doors) -> None:
    with doors.connect() as client:
        for _time in range(3):
            client.sendall(b"GET /_ping HTTP/1.1\r\n\r\n")
            assert client.recv(4096).endswith(b"\r\n\r\nOK")
        client.sendall(b"GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert read_all(client).endswith(b"OK")


def test_an_event_is_handed_on_as_it_comes_without_the_containers_labels_and_others_are_answered_meanwhile(doors: Doors) -> None:
    with doors.connect() as client:
        client.sendall(b"GET /events HTTP/1.1\r\n\r\n")
        assert doors.engine.streams.wait(5)
        for number in range(3):
            doors.event(b'{"Type": "container", "Action": "start", "Actor": {"ID": "%d", "Attributes": {"password": "secret"}}}\n' % number)
            received = b""
            while b'{"Type":"container","Action":"start","Actor":{"ID":"%d","Attributes":{}}}' % number not in received:
                received += client.recv(4096)
            assert b"secret" not in received
            assert b"200 OK" in doors.asked(b"GET /version HTTP/1.1\r\n\r\n")


def test_either_end_of_a_stream_hangs_up_on_both(doors: Doors) -> None:
    client = doors.connect()
    client.sendall(b"GET /events HTTP/1.1\r\n\r\n")
    assert doors.engine.streams.wait(5)
    doors.engine.stream[-1].settimeout(5)
    client.close()
    with pytest.raises(OSError):
        while True:
            doors.event(b"{}\n")
    doors.engine.streams.clear()
    with doors.connect() as client:
        client.sendall(b"GET /events HTTP/1.1\r\n\r\n")
        assert doors.engine.streams.wait(5)
        doors.engine.stream[-1].shutdown(socket.SHUT_RDWR)
        assert b"200 OK" in read_all(client)


@pytest.mark.parametrize("hidden", [b"POST /containers/create HTTP/1.1\r\n\r\n", b"{}\r\n\r\n"])
def test_nothing_hides_behind_a_request_that_may_pass(doors: Doors, hidden: bytes) -> None:
    answer = doors.asked(b"GET /version HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
    assert len(doors.engine.heads) == 1
    assert b"HTTP/1.1 403 Forbidden\r\n" in answer


def test_a_request_in_pieces_passes_and_one_without_end_does_not(doors: Doors) -> None:
    assert b"200 OK" in doors.asked(b"GET /ver", b"sion HTTP/1.1\r", b"\n\r", b"\n")
    with doors.connect() as client:
        client.sendall(b"x" * (LONGEST_HEAD + 1))
        assert read_all(client) == b""


def test_a_head_that_takes_too_long_is_given_up(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "HEAD_S", 0.05)
    with doors.connect() as client:
        client.sendall(b"GET /version HT")
        assert read_all(client) == b""


def test_there_are_only_so_many_connections(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    doors.proxy._free = threading.BoundedSemaphore(2)
    clients = [doors.connect() for _time in range(2)]
    for client in clients:
        client.sendall(b"GET /_ping HTTP/1.1\r\n\r\n")
        assert client.recv(4096).endswith(b"OK")
    said: t.List[str] = []
    monkeypatch.setattr(doors.proxy.log, "info", said.append)
    for _time in range(3):
        with doors.connect() as another:
            assert another.recv(4096) == b""
    assert len(said) == 1 and "there is no room for more" in said[0]
    for client in clients:
        client.close()
    while not _is_answered(doors):
        pass
    assert doors.engine.heads


def _is_answered(doors: Doors) -> bool:
    try:
        return doors.asked(b"GET /_ping HTTP/1.1\r\n\r\n").endswith(b"OK")
    except OSError:
        return False


def test_an_engine_that_is_away_or_answers_nonsense_is_said(doors: Doors) -> None:
    doors.engine.answers["version"] = b"<html>"
    assert doors.asked(b"GET /version HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    doors.proxy.engine = "/nowhere"
    assert doors.asked(b"GET /version HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 502 Bad Gateway\r\n")


def test_a_socket_that_a_killed_one_left_is_replaced(doors: Doors) -> None:
    doors.proxy.shutdown()
    doors.proxy.server_close()
    doors.proxy = Proxy(doors.path, "nowhere", Log())
    threading.Thread(target=doors.proxy.serve_forever, daemon=True).start()
    assert doors.asked(b"GET /version HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 502")


SEEDS = [
    b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1.41/containers/json?all=1&size=0 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1.41/containers/" + ID.encode() + b"/json HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /version HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nDELETE /containers/web HTTP/1.1\r\n\r\n",
]
SPLICES = [
    b"..",
    b"/",
    b"//",
    b"%2e%2e",
    b"%00",
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b"POST ",
    b"/exec",
    b"archive?path=/",
    b"?size=1",
    b"&size=1",
    b"#",
    b"\xff",
    b";",
]
# What an engine may be asked, said once more in other words than those of the proxy.
HARMLESS = re.compile(
    rb"(GET|HEAD) (/v\d+\.\d+)?/(_ping|version|containers/(\w[\w.-]*/)?json)(\?[^ ]*)? HTTP/1\.1\r\nHost: docker\r\nAccept-Encoding: identity"
)


def asks_for_sizes(head: bytes) -> bool:
    query = head.split(b" ")[1].partition(b"?")[2]
    return any(pair.startswith(b"size=") and pair not in (b"size=", b"size=0") for pair in re.split(b"[&;]", query))


def mutated(chance: random.Random) -> bytes:
    """Return a request with a few bytes changed, removed, doubled, or put in."""
    text = bytearray(chance.choice(SEEDS))
    for _time in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        how = chance.randrange(5)
        if how == 0:
            text[at:at] = chance.choice(SPLICES)
        elif how == 1:
            del text[at : at + chance.randint(1, 8)]
        elif how == 2:
            text[at : at + 1] = bytes([chance.randrange(256)])
        elif how == 3:
            text[at:at] = text[at : at + chance.randint(1, 20)]
        else:
            text += chance.choice(SEEDS)
    return bytes(text)


def test_of_ten_thousand_mutated_requests_none_reaches_the_engine_that_may_not(doors: Doors) -> None:
    chance = random.Random(20_261_124)
    doors.proxy.log = t.cast(Log, type("Silent", (), {"info": lambda self, message: None})())
    for _time in range(10_000):
        try:
            doors.asked(mutated(chance))
        except (BrokenPipeError, ConnectionResetError):
            continue  # refused before all was said
    assert len(doors.engine.heads) > 500, "hardly anything reached the engine: nothing was tried"
    assert [head for head in doors.engine.heads if not HARMLESS.fullmatch(head) or asks_for_sizes(head)] == []
