# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent on loopback that answers as Consul does, until a test wants it to be otherwise."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import typing as t
import urllib.parse

HANG = object()
"""A reply that never comes."""


def entry(id: str = "web-1", port: int = 80, status: str = "passing", tags: t.Sequence[str] = (), **service: t.Any) -> t.Dict[str, t.Any]:
    """An entry of ``/v1/health/service``."""
    return {
        "Node": {"Node": service.pop("node", "node1"), "Address": "10.0.0.1"},
        "Service": {"ID": id, "Service": "web", "Address": "10.0.0.2", "Port": port, "Tags": list(tags), "Meta": None, **service},
        "Checks": [{"CheckID": "serfHealth", "Status": "passing"}, {"CheckID": f"service:{id}", "Status": status}],
    }


def http(body: t.Any, status: int = 200, **headers: t.Any) -> bytes:
    """A whole reply. A header that is None is left out."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"X-Consul-Index": "7", "X-Consul-KnownLeader": "true", "Content-Length": str(len(content))}
    lines.update({name.replace("_", "-"): value for name, value in headers.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"HTTP/1.1 {status} x\r\n{head}\r\n".encode() + content


class Request(t.NamedTuple):
    path: str
    query: t.Dict[str, t.List[str]]
    headers: t.Dict[str, str]

    @property
    def index(self) -> t.Optional[int]:
        return int(self.query["index"][0]) if "index" in self.query else None


Reply = t.Union[bytes, object, None]


class FakeConsul:
    def __init__(self, wrap: t.Callable[[socket.socket], socket.socket] = lambda sock: sock) -> None:
        self.entries: t.List[t.Any] = []
        self.index = 10
        self.headers: t.Dict[str, t.Any] = {}
        self.rights: t.Tuple[int, t.Any] = (401, b"ACL support disabled")
        self.requests: t.List[Request] = []
        self.script: t.Optional[t.Callable[[Request], Reply]] = None
        """Replaces the replies about services; ``None`` closes the connection."""
        self._wrap = wrap
        self._changed = threading.Condition()
        self.connections: t.List[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._running = True
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, *entries: t.Any, index: t.Optional[int] = None, **headers: t.Any) -> None:
        """Have other instances, which wakes whoever waits for a change."""
        with self._changed:
            self.entries, self.headers = list(entries), headers
            self.index = self.index + 1 if index is None else index
            self._changed.notify_all()

    def say(self, script: t.Optional[t.Callable[[Request], Reply]]) -> None:
        """Answer by a script from now on, also to whoever waits."""
        with self._changed:
            self.script = script
            self.index += 1
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._running = False
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.connections.clear()

    def start_again(self) -> None:
        """Be back on the same port, with what was known."""
        self._listener = eventually(lambda: socket.create_server(("127.0.0.1", self.port), reuse_port=False))
        self._running = True
        threading.Thread(target=self._accept, daemon=True).start()

    def health_requests(self) -> t.List[Request]:
        return [request for request in list(self.requests) if request.path.startswith("/v1/health/service/")]

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                connection, _unused = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            connection = self._wrap(connection)
            file = connection.makefile("rb")
            while True:
                words = file.readline().split()
                if len(words) != 3:
                    return
                lines = iter(lambda: file.readline().decode().strip(), "")
                headers = {name.strip().lower(): value.strip() for name, _unused, value in (line.partition(":") for line in lines)}
                parts = urllib.parse.urlsplit(words[1].decode())
                request = Request(parts.path, urllib.parse.parse_qs(parts.query, keep_blank_values=True), headers)
                self.requests.append(request)
                reply = self._reply(request)
                if reply is HANG:
                    with self._changed:
                        self._changed.wait_for(lambda: not self._running)
                if isinstance(reply, tuple):  # the beginning of a reply, and then nothing
                    connection.sendall(reply[0])
                if not isinstance(reply, bytes):
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                connection.sendall(reply)

    def _reply(self, request: Request) -> Reply:
        if request.path == "/v1/acl/token/self":
            status, body = self.rights
            return http(body, status)
        if self.script:
            return self.script(request)
        with self._changed:
            if request.index is not None:
                seen = request.index
                self._changed.wait_for(lambda: self.index > seen or self.script or not self._running, 30)
            if not self._running:
                return None
            if self.script is None:
                return http(self.entries, **{"X_Consul_Index": self.index, **self.headers})
        return self.script(request)


_Found = t.TypeVar("_Found")


def eventually(holds: t.Callable[[], _Found], seconds: float = 10.0) -> _Found:
    """Return what becomes true or stops to raise OSError."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = holds()
            if found:
                return found
        except OSError:
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.005)
