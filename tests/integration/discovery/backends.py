# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of a web service that come and go, and a ledger of when each of them was passing."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
import typing as t

from servers import Server


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = t.cast(Backend, self.server).name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: t.Any) -> None:
        """Say nothing."""


class Backend(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name, self.port = name, self.server_address[1]
        self._connections: t.Set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def get_request(self) -> t.Tuple[socket.socket, t.Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: t.Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A connection that was cut is what the test is about."""

    def kill(self) -> None:
        """Refuse and cut everything at once, as the death of a process does."""
        self.socket.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.shutdown()


class Life(t.NamedTuple):
    name: str
    born: float
    died: float


class Ledger:
    """When each instance was passing, from when Consul said so until before its end was begun."""

    def __init__(self, consul: Server) -> None:
        self._consul = consul
        self._alive: t.Dict[str, t.Tuple[Backend, float]] = {}
        self.ended: t.List[Life] = []
        self._count = 0

    def start(self) -> Backend:
        self._count += 1
        backend = Backend(f"web-{self._count}")
        self._consul.register(backend.name, port=backend.port, Address="127.0.0.1")
        self._consul.wait_for(lambda: backend.name in [one["Service"]["ID"] for one in self._consul.get("/v1/health/service/web?passing")], 60)
        self._alive[backend.name] = backend, time.monotonic()
        return backend

    def older_than(self, seconds: float) -> t.List[str]:
        return [name for name, (_unused, born) in self._alive.items() if time.monotonic() - born > seconds]

    def end(self, name: str, abruptly: bool) -> None:
        backend, born = self._alive.pop(name)
        self.ended.append(Life(name, born, time.monotonic()))
        if abruptly:
            backend.kill()
        self._consul.deregister(name)
        if not abruptly:
            # As a service that drains: it serves until everybody can know.
            threading.Timer(3, backend.kill).start()

    def lives(self) -> t.List[Life]:
        return [*self.ended, *(Life(name, born, float("inf")) for name, (_unused, born) in self._alive.items())]

    def stop(self) -> None:
        for backend, _unused in self._alive.values():
            backend.kill()
