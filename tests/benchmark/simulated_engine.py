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
    """The Engine API's reads, on a socket file. ``start`` and ``end`` may be called by any thread; ``inspections`` counts."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._running: t.Dict[str, t.Dict[str, t.Any]] = {}
        self._streams: t.List[queue.Queue[bytes]] = []
        self._port, self.inspections = 20_000, 0
        self._server = _Server(path, _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def start(self, name: str, health: bool = False) -> None:
        self._port = 20_000 + (self._port + 1) % 40_000
        identifier = hashlib.sha256(name.encode()).hexdigest()
        self._running[identifier] = inspected(identifier, name, self._port, health)
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
            return [listed(found) for found in self._running.copy().values()]
        self.inspections += 1
        return self._running.get(path.split("/")[2]) if path.startswith("/containers/") else None

    def subscribe(self) -> queue.Queue[bytes]:
        stream: queue.Queue[bytes] = queue.Queue()
        self._streams.append(stream)
        return stream

    def _tell(self, identifier: str, action: str) -> None:
        event = {"Type": "container", "Action": action, "Actor": {"ID": identifier, "Attributes": {"image": "web"}}, "timeNano": time.time_ns()}
        for stream in self._streams:
            stream.put(json.dumps(event).encode() + b"\n")


def inspected(identifier: str, name: str, port: int, health: bool) -> t.Dict[str, t.Any]:
    """Return a container as an engine's inspect answers it, of a size that is usual: Compose's labels, 20 variables, two ports."""
    environment = [f"APPLICATION_SETTING_{number}=value-{number}-of-{name}" for number in range(20)]
    network = {"IPAMConfig": None, "Links": None, "Aliases": [name], "NetworkID": identifier, "EndpointID": identifier, "Gateway": "172.18.0.1"}
    return {
        "Id": identifier,
        "Created": "2026-01-01T00:00:00.000000000Z",
        "Path": "/bin/server",
        "Args": ["--listen", "0.0.0.0:80"],
        "State": {"Status": "running", "Running": True, "Paused": False, "Restarting": False, "ExitCode": 0, "Pid": 4711, **health_of(health)},
        "Image": f"sha256:{identifier}",
        "Name": f"/{name}",
        "RestartCount": 0,
        "Mounts": [{"Type": "volume", "Name": name, "Source": f"/var/lib/docker/volumes/{name}/_data", "Destination": "/data", "Driver": "local"}],
        "HostConfig": {"NetworkMode": "shop_default", "Binds": [f"{name}:/data:rw"], "LogConfig": {"Type": "json-file", "Config": {}}, "Memory": 268435456},
        "Config": {
            "Hostname": identifier[:12],
            "Env": [*environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["--listen", "0.0.0.0:80"],
            "Image": f"registry.example/shop/{name}:1.2.3",
            "ExposedPorts": {"80/tcp": {}, "9090/tcp": {}},
            "Labels": labels_of(name),
        },
        "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}, {"HostIp": "::", "HostPort": str(port)}], "9090/tcp": None},
            "Networks": {"shop_default": {**network, "IPAddress": "172.18.0.2", "IPPrefixLen": 16, "GlobalIPv6Address": "", "MacAddress": "02:42:ac:12:00:02"}},
        },
    }


def health_of(health: bool) -> t.Dict[str, t.Any]:
    return {"Health": {"Status": "healthy", "FailingStreak": 0, "Log": [{"Output": "well", "ExitCode": 0}] * 5}} if health else {}


def labels_of(name: str) -> t.Dict[str, str]:
    compose = {key: f"{key}-{name}" for key in ("config-hash", "container-number", "oneoff", "project", "project.config_files", "service", "version")}
    own = {"SERVICE_TAGS": "a,b", "SERVICE_REGION": "eu", "maintainer": "shop@example.com"}
    return {**{f"com.docker.compose.{key}": value for key, value in compose.items()}, **own}


def listed(found: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return what a list tells of a container."""
    port = int(found["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
    return {
        "Id": found["Id"],
        "Names": [found["Name"]],
        "Image": found["Config"]["Image"],
        "ImageID": found["Image"],
        "Command": "/bin/server --listen 0.0.0.0:80",
        "Created": 1767225600,
        "Ports": [{"IP": address, "PrivatePort": 80, "PublicPort": port, "Type": "tcp"} for address in ("0.0.0.0", "::")],
        "Labels": found["Config"]["Labels"],
        "State": "running",
        "Status": "Up 3 hours (healthy)" if "Health" in found["State"] else "Up 3 hours",
        "HostConfig": {"NetworkMode": "shop_default"},
        "NetworkSettings": {"Networks": found["NetworkSettings"]["Networks"]},
        "Mounts": found["Mounts"],
    }


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
