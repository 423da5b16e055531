# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/health`` and ``/metrics`` over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST

TIMEOUT_S = 10.0  # for whoever connects and says nothing


class State(t.Protocol):
    """Whoever knows how things are."""

    def health(self) -> t.Mapping[str, t.Any]:
        """Return what there is to know; ``healthy`` says the whole."""

    def metrics_text(self) -> bytes:
        """Return the metrics as Prometheus reads them."""


def serve(listen: str, state: State) -> ThreadingHTTPServer:
    """Answer on ``address:port`` until the program ends. Raises OSError when that is not to be had."""
    address, _colon, port = listen.rpartition(":")
    host = address.strip("[]") or "127.0.0.1"
    server = (_IPv6Server if ":" in host else ThreadingHTTPServer)((host, int(port)), _handler(state))
    threading.Thread(target=server.serve_forever, name="web", daemon=True).start()
    return server


class _IPv6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _handler(state: State) -> t.Type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = TIMEOUT_S

        def do_GET(self) -> None:
            if self.path == "/health":
                health = state.health()
                self._say(200 if health["healthy"] else 503, "application/json", f"{json.dumps(health)}\n".encode())
            elif self.path == "/metrics":
                self._say(200, CONTENT_TYPE_LATEST, state.metrics_text())
            else:
                self._say(404, "text/plain", b"/health and /metrics\n")

        def _say(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: t.Any) -> None:
            """Requests for one's health are no news."""

    return Handler
