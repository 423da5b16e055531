# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Consul agent on loopback."""

from __future__ import annotations

import json
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from registrator.options import Options
from registrator.registry import Registry, connect


class Agent:
    """Keeps services as the agent does; ``answer`` replaces its next answers."""

    def __init__(self) -> None:
        self.services: t.Dict[str, t.Any] = {}
        self.headers: t.List[t.Any] = []
        self.paths: t.List[str] = []
        self.answer: t.Optional[t.Tuple[int, bytes]] = None
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                agent.headers.append(self.headers)
                agent.paths.append(self.path)
                if "/service/register" in self.path and not agent.answer:
                    found = json.loads(body)
                    agent.services[found["ID"]] = {**found, "Service": found.pop("Name")}
                    found.pop("Check", None)
                self._say(*agent.answer or (200, json.dumps(agent.services).encode()))

            do_GET = do_DELETE = do_PUT

            def _say(self, code: int, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: t.Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def registry(self, scheme: str = "consul", path: str = "", **environment: str) -> Registry:
        return connect(Options(registry=f"{scheme}://{self.address}{path}"), "host1", environment)
