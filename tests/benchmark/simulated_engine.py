# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine without containers: it answers as one that has any number, and says what happens to them."""

from __future__ import annotations

import hashlib
import json
import queue
import re
import socketserver
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler


class SimulatedEngine:
    """The Engine API's reads, on a socket file. ``start`` and ``end`` may be called by any thread."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._running: t.Dict[str, t.Dict[str, t.Any]] = {}
        self._streams: t.List[queue.Queue[bytes]] = []
        self._port = 20_000
        self._server = _Server(path, _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def start(self, name: str) -> None:
        self._port = 20_000 + (self._port + 1) % 40_000
        identifier = hashlib.sha256(name.encode()).hexdigest()
        self._running[identifier] = {
            "Id": identifier,
            "Name": f"/{name}",
            "Image": "sha256:00",
            "Config": {"Image": name, "Env": ["PATH=/bin"], "Labels": {"SERVICE_TAGS": "a,b"}, "ExposedPorts": {"80/tcp": {}}, "Hostname": name},
            "HostConfig": {"NetworkMode": "bridge"},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(self._port)}]}, "Networks": {}},
            "State": {"Running": True, "ExitCode": 0},
        }
        self._tell(identifier, "start")

    def end(self, name: str) -> None:
        identifier = hashlib.sha256(name.encode()).hexdigest()
        del self._running[identifier]
        self._tell(identifier, "die")

    def stop(self) -> None:
        for stream in self._streams:
            stream.put(b"")
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> t.Optional[t.Any]:
        """Return what a path reads; None when there is no such thing."""
        if path == "/version":
            return {"Version": "27.5.1", "ApiVersion": "1.47", "MinAPIVersion": "1.24"}
        if path == "/containers/json":
            return [{"Id": identifier, "Names": [found["Name"]], "State": "running", "Status": "Up"} for identifier, found in self._running.copy().items()]
        return self._running.get(path.split("/")[2]) if path.startswith("/containers/") else None

    def subscribe(self) -> queue.Queue[bytes]:
        stream: queue.Queue[bytes] = queue.Queue()
        self._streams.append(stream)
        return stream

    def _tell(self, identifier: str, action: str) -> None:
        event = {"Type": "container", "Action": action, "Actor": {"ID": identifier, "Attributes": {}}, "timeNano": time.time_ns()}
        for stream in self._streams:
            stream.put(json.dumps(event).encode() + b"\n")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> t.Tuple[t.Any, t.Any]:
        request, _address = super().get_request()
        return request, ("engine", 0)


def _handler(engine: SimulatedEngine) -> t.Type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = re.sub(r"^/v1\.[0-9]+", "", self.path.partition("?")[0])
            if path == "/events":
                self._stream()
                return
            found = engine.answer(path)
            body = json.dumps({"message": "no such container"} if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self) -> None:
            events = engine.subscribe()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while True:
                event = events.get()
                if not event:
                    return
                self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")

        def log_message(self, format: str, *words: t.Any) -> None:
            """Say nothing."""

    return Handler
