# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""A web service with a small resource: greetings, by their language.

It is unhealthy while the file /tmp/sick is there. When it is told to stop, it says that it is unhealthy and goes on to answer for
some seconds, so that whoever has it in a list is told before it is gone.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETINGS = {"de": "Guten Tag", "en": "Good day", "fr": "Bonjour", "zh": "你好"}
SICK = pathlib.Path("/tmp/sick")
DRAIN_SECONDS = 4.0


class Service(ThreadingHTTPServer):
    """The server. ``instance`` is told with each answer."""

    daemon_threads = True

    def __init__(self, port: int, instance: str) -> None:
        super().__init__(("", port), Handler)
        self.instance = instance
        self.is_draining = False

    def answer(self, path: str) -> t.Tuple[int, t.Any]:
        """Status and body for a path."""
        if path == "/health":
            return (503, {"status": "sick"}) if self.is_draining or SICK.exists() else (200, {"status": "well"})
        if path == "/greetings":
            return 200, {"languages": sorted(GREETINGS), "instance": self.instance}
        folder, _slash, language = path.rpartition("/")
        if folder == "/greetings" and language in GREETINGS:
            return 200, {"language": language, "greeting": GREETINGS[language], "instance": self.instance}
        return 404, {"error": "There is no such resource. Ask for /greetings."}

    def drain(self) -> None:
        """Be unhealthy, and end some seconds later."""
        self.is_draining = True
        threading.Timer(DRAIN_SECONDS, self.shutdown).start()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Service
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        status, body = self.server.answer(self.path.partition("?")[0])
        text = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *words: t.Any) -> None:
        """Log nothing: it is called all the time."""


def main() -> None:
    service = Service(int(os.environ.get("PORT", "8080")), os.environ.get("INSTANCE") or socket.gethostname())
    signal.signal(signal.SIGTERM, lambda *_signal: service.drain())
    service.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()
