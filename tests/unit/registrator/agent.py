# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Consul agent on loopback."""

from __future__ import annotations

import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from registrator.mark import Owner
from registrator.options import Options
from registrator.registry import Registry, connect


class Agent:
    """Keeps services as the agent does; ``answer`` replaces its answers, ``answers`` those for paths that hold a text."""

    def __init__(self) -> None:
        self.services: t.Dict[str, t.Any] = {}
        self.headers: t.List[t.Any] = []
        self.paths: t.List[str] = []
        self.bodies: t.List[bytes] = []
        self.answer: t.Optional[t.Tuple[int, bytes]] = None
        self.answers: t.Dict[str, t.Tuple[int, bytes]] = {}
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                agent.headers.append(self.headers)
                agent.paths.append(self.path)
                agent.bodies.append(body)
                if self.path == "/v1/status/leader" and not agent.answer:
                    self._say(200, b'"127.0.0.1:8300"')
                    return
                told = next((answer for part, answer in agent.answers.items() if part in self.path), None)
                if told:
                    self._say(*told)
                    return
                if "/service/register" in self.path and not agent.answer:
                    found = json.loads(body)
                    agent.services[found["ID"]] = {**found, "Service": found.pop("Name")}
                    found.pop("Check", None)
                self._say(*agent.answer or (200, json.dumps(agent.services).encode()))

            do_GET = do_DELETE = do_PUT

            def _say(self, code: int, body: bytes) -> None:
                self.send_response(code)
                if code in (301, 307):
                    self.send_header("Location", "/v1/agent/leave")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: t.Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda request, address: None  # type: ignore[method-assign] # a client may go at any time
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def registry(self, scheme: str = "consul", path: str = "", **environment: str) -> Registry:
        return connect(Options(registry=f"{scheme}://{self.address}{path}"), Owner("host1", "host1"), environment)
