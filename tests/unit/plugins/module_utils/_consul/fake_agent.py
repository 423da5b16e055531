# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP API of an agent, on a port of its own: fixed answers, and keys that are really kept."""

from __future__ import annotations

import json
import socket
import threading
import time
import typing as t
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server6(ThreadingHTTPServer):
    """On an IPv6 address."""

    address_family = socket.AF_INET6


@dataclass
class Agent:
    """`answers` by path: (status, body); `keys` may be shared; `log` has what was asked as (method, path, query, token).

    `peak` is how many questions were open at a time.
    """

    answers: dict[str, tuple[int, t.Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    log: list[tuple[str, str, str, str | None]] = field(default_factory=list)
    host: str = "127.0.0.1"
    busy: int = 0
    peak: int = 0

    def __enter__(self) -> Agent:
        self._server = (Server6 if ":" in self.host else ThreadingHTTPServer)((self.host, 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self._server.server_address[1]}"

    def asked(self, method: str) -> list[str]:
        return [path for verb, path, _query, _token in self.log if verb == method]


def _handler(agent: Agent) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: t.Any) -> None:
            pass

        def answer(self) -> None:
            path, _mark, query = self.path.partition("?")
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size).decode()
            agent.log.append((self.command, path, query, self.headers.get("X-Consul-Token")))
            with lock:
                agent.busy += 1
                agent.peak = max(agent.peak, agent.busy)
            time.sleep(agent.delay)
            with lock:
                agent.busy -= 1
            status, data = agent.answers.get(path) or agent.answers.get(f"{self.command} /v1/kv") or self.kept(path, body)
            text = data if isinstance(data, str) and not (status == 200 and path.startswith("/v1/status")) else json.dumps(data)
            self.send_response(status)
            for name, value in agent.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT = do_DELETE = answer

        def kept(self, path: str, body: str) -> tuple[int, t.Any]:
            if not path.startswith("/v1/kv/"):
                return 404, "not found"
            if self.command == "PUT":
                agent.keys[path] = body
            if self.command == "DELETE":
                agent.keys.pop(path, None)
            if self.command != "GET":
                return 200, True
            return (200, [{"Value": b64encode(agent.keys[path].encode()).decode()}]) if path in agent.keys else (404, "")

    return Handler
