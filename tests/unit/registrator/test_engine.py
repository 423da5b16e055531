# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from the engine, and how it is reached."""

from __future__ import annotations

import concurrent.futures
import pathlib
import socket
import socketserver
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from registrator import engine
from registrator.engine import Engine, EngineError, Event
from registrator.news import CHANGED, LOOK


@pytest.mark.parametrize(
    "raw, wanted",
    [
        ({"Type": "container", "Action": "start", "Actor": {"ID": "a"}}, Event("a", "start")),
        ({"Type": "container", "Action": "health_status: healthy", "Actor": {"ID": "a"}}, Event("a", CHANGED)),
        ({"Type": "container", "Action": "kill", "Actor": {"ID": "a", "Attributes": {"signal": "15"}}}, Event("a", "kill:15")),
        ({"Type": "container", "Action": "kill", "Actor": {"ID": "a", "Attributes": {"signal": "die"}}}, Event("a", CHANGED)),
        ({"status": "die", "id": "a"}, Event("a", "die")),
        ({"Type": "network", "Action": "connect", "Actor": {"ID": "n", "Attributes": {"container": "a"}}}, Event("a", CHANGED, True)),
        ({"Type": "network", "Action": "create", "Actor": {"ID": "n"}}, None),
        ({"Type": "image", "Action": "pull", "Actor": {"ID": "i"}}, None),
    ],
)
def test_an_event_says_which_container_and_what(raw: t.Dict[str, t.Any], wanted: t.Optional[Event]) -> None:
    assert list(engine._events_of([{"timeNano": 2_000_000_000, **raw}], 1.5)) == ([wanted] if wanted else [])


@pytest.mark.parametrize("action", ["die", "start", "kill"])
def test_what_happened_before_is_a_reason_to_look_and_no_more(action: str) -> None:
    raw = {"Type": "container", "Action": action, "Actor": {"ID": "a", "Attributes": {"signal": "15"}}, "timeNano": 1_400_000_000}
    assert list(engine._events_of([raw], 1.5)) == [Event("a", LOOK)]


def test_whatever_breaks_the_stream_is_an_engine_error() -> None:
    def stream() -> t.Iterator[t.Dict[str, t.Any]]:
        yield {"Type": "container", "Action": "start", "Actor": {"ID": "a"}}
        raise AttributeError("closed under us")

    events = engine._events_of(stream(), 0.0)
    assert next(events) == Event("a", "start")
    with pytest.raises(EngineError, match="closed under us"):
        next(events)


class Tcp:
    """An engine on TCP that answers ``/events`` with what it is told, and keeps the connection open when asked."""

    def __init__(self, status: int, body: bytes, *, chunked: bool = True) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if chunked else "HTTP/1.0"

            def do_GET(self) -> None:
                is_events = "/events" in self.path
                text = body if is_events else b'{"ApiVersion": "1.41", "Version": "20.10"}'
                self.send_response(status if is_events else 200)
                streams = is_events and chunked and status == 200
                self.send_header(*(("Transfer-Encoding", "chunked") if streams else ("Content-Length", str(len(text)))))
                self.end_headers()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text) if streams else text)
                self.wfile.flush()
                if streams:
                    held.wait(20)

            def log_message(self, *words: t.Any) -> None:
                """Say nothing."""

        held = self.held = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.engine = Engine({"DOCKER_HOST": f"tcp://127.0.0.1:{self.server.server_address[1]}"})

    def stop(self) -> None:
        self.held.set()
        self.server.shutdown()
        self.server.server_close()


EVENT = b'{"Type": "container", "Action": "start", "Actor": {"ID": "a"}, "timeNano": 9000000000000000000}\n'


def test_a_refusal_is_no_stream_of_events() -> None:
    tcp = Tcp(403, b'{"message": "not allowed"}')
    with pytest.raises(EngineError, match=r"refuses to tell its events: 403 .*not allowed"):
        tcp.engine.events()
    tcp.stop()


@pytest.mark.parametrize("chunked", [True, False])
def test_an_event_is_heard_while_the_stream_goes_on(chunked: bool) -> None:
    tcp = Tcp(200, EVENT, chunked=chunked)
    assert next(tcp.engine.events()) == Event("a", "start")
    tcp.stop()


def test_a_connection_over_tcp_notices_that_the_other_end_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    set_on: t.List[t.Tuple[int, ...]] = []

    class Noted(socket.socket):
        def setsockopt(self, *words: t.Any) -> None:
            set_on.append(words)
            super().setsockopt(*words)

    tcp = Tcp(200, EVENT)
    monkeypatch.setattr(socket, "socket", Noted)
    next(tcp.engine.events())
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in set_on
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20) in set_on
    tcp.stop()


LISTED: t.Dict[str, t.Any] = {
    "Names": ["/web"],
    "State": "running",
    "Status": "Up 3 minutes (healthy)",
    "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}


@pytest.mark.parametrize(
    "change, is_seen",
    [
        ({"Status": "Up 4 minutes (healthy)"}, False),
        ({"Status": "Up 3 minutes (unhealthy)"}, True),
        ({"State": "paused"}, True),
        ({"Names": ["/other"]}, True),
        ({"Ports": []}, True),
        ({"NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.3"}}}}, True),
    ],
)
def test_a_list_shows_what_matters_and_no_passing_time(change: t.Dict[str, t.Any], is_seen: bool) -> None:
    assert (engine._outline({**LISTED, **change}) != engine._outline(LISTED)) is is_seen


def test_each_thread_keeps_one_connection_however_many_containers_it_looks_at(tmp_path: pathlib.Path) -> None:
    """Kept ones would use up the room that the proxy has, and nothing would reach the engine any more."""
    now, most = set(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            now.add(self)
            most[0] = max(most[0], len(now))
            super().handle()
            now.discard(self)

        def do_GET(self) -> None:
            text = b'{"Id": "x", "ApiVersion": "1.41", "Version": "20.10"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: object) -> None:
            pass

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    lookers = 3
    path = str(tmp_path / "docker.sock")
    with Server(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        engine = Engine({"DOCKER_HOST": f"unix://{path}"})

        def look(looker: int) -> bool:
            return all(engine.inspect(f"container{looker}-{number}") is not None for number in range(60))

        with concurrent.futures.ThreadPoolExecutor(lookers) as pool:
            assert all(pool.map(look, range(lookers)))
        server.shutdown()
    # One more each, for the time in which the SDK asks for the version.
    assert 1 <= most[0] <= 2 * lookers


def test_the_socket_is_where_the_original_has_it() -> None:
    assert Engine({}).url == "unix:///tmp/docker.sock"
    assert Engine({"DOCKER_HOST": "tcp://10.0.0.1:2375"}).url == "tcp://10.0.0.1:2375"


@pytest.mark.parametrize("has_authority", [True, False])
def test_tls_verifies_where_there_is_an_authority(tmp_path: pathlib.Path, has_authority: bool) -> None:
    for name in ("cert.pem", "key.pem", *["ca.pem"] * has_authority):
        (tmp_path / name).touch()
    settings = engine._tls({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)})
    assert settings
    assert settings.verify is has_authority
    assert settings.cert == (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))


def test_no_engine_is_an_engine_error(tmp_path: pathlib.Path) -> None:
    away = Engine({"DOCKER_HOST": f"unix://{tmp_path}/none"})
    for call in (away.containers, lambda: away.inspect("a"), away.events):
        with pytest.raises(EngineError):
            call()
