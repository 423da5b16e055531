# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Consul agent in development mode, on free ports of loopback."""

from __future__ import annotations

import json
import pathlib
import socket
import subprocess
import time
import typing as t
import urllib.error
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ConsulAgent:
    """Keeps everything in memory: ``stop`` and ``start`` make an agent that has lost its state."""

    def __init__(self, binary: str, folder: pathlib.Path, config: t.Optional[t.Dict[str, t.Any]] = None) -> None:
        self.binary, self.folder, self.config = binary, folder, config or {}
        ports = {name: free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
        self.ports = {"dns": -1, "grpc": -1, **ports, **self.config.pop("ports", {})}
        self.token = ""
        self.url = f"http://127.0.0.1:{self.ports['http']}"
        self.start()

    @property
    def uri(self) -> str:
        return f"consul://127.0.0.1:{self.ports['http']}"

    def start(self) -> None:
        file = self.folder / "consul.json"
        file.write_text(json.dumps({"ports": self.ports, "bind_addr": "127.0.0.1", **self.config}))
        log = (self.folder / "consul.log").open("a")
        command = [self.binary, "agent", "-dev", "-config-file", str(file)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        self.wait_for(lambda: self.get("/v1/status/leader"))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def listen_on(self, path: pathlib.Path) -> None:
        """Be restarted to answer on a socket file, too."""
        self.stop()
        self.config["addresses"] = {"http": f"unix://{path} 127.0.0.1"}
        self.start()

    def get(self, path: str) -> t.Any:
        return json.loads(self._request("GET", path))

    def put(self, path: str, data: t.Any = None, answer: bool = False) -> t.Any:
        """Return the answer when it is asked for."""
        found = self._request("PUT", path, None if data is None else json.dumps(data).encode())
        return json.loads(found) if answer else None

    def _request(self, method: str, path: str, body: t.Optional[bytes] = None) -> bytes:
        request = urllib.request.Request(self.url + path, body, {"X-Consul-Token": self.token}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return t.cast(bytes, answer.read())

    def services(self) -> t.Dict[str, t.Any]:
        return t.cast("t.Dict[str, t.Any]", self.get("/v1/agent/services"))

    def status_of(self, service_id: str) -> t.Dict[str, str]:
        """Return the status of each check of a service, by check id."""
        return {check["CheckID"]: check["Status"] for check in self.get("/v1/agent/checks").values() if check["ServiceID"] == service_id}

    def wait_for(self, holds: t.Callable[[], t.Any], seconds: float = 20.0) -> t.Any:
        """Wait until something holds, and return it. Fails the test when it does not in time."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = holds()
            except (urllib.error.URLError, OSError):
                found = None
            if found:
                return found
            assert time.monotonic() < end, f"not within {seconds} s; registered: {self._names()}"
            time.sleep(0.02)

    def _names(self) -> t.List[str]:
        try:
            return sorted(self.services())
        except OSError as error:
            return [str(error)]
