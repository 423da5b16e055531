# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""The page: what the application knows, sent to the browser again and again as it changes."""

from __future__ import annotations

import contextlib
import json
import pathlib
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAUSE_SECONDS = 0.25
PAGE = pathlib.Path(__file__).with_name("page.html")
MOST_STREAMS = 20


class Server(ThreadingHTTPServer):
    """Gives the page, the state as JSON, and a stream of states."""

    daemon_threads = True

    def __init__(self, port: int, state: t.Callable[[], t.Any]) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state = state
        self.streams = threading.BoundedSemaphore(MOST_STREAMS)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = 30

    def do_GET(self) -> None:
        if self.path == "/":
            self._give("text/html; charset=utf-8", PAGE.read_bytes())
        elif self.path == "/state":
            self._give("application/json", json.dumps(self.server.state()).encode())
        elif self.path == "/changes" and self.server.streams.acquire(blocking=False):
            try:
                self._stream()
            finally:
                self.server.streams.release()
        else:
            self.send_error(404)

    def _give(self, kind: str, body: bytes) -> None:
        self._head(kind)
        self.wfile.write(body)

    def _stream(self) -> None:
        self._head("text/event-stream")
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(f"data: {json.dumps(self.server.state())}\n\n".encode())
                time.sleep(PAUSE_SECONDS)

    def _head(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        # What is shown was written by whoever registers services, so nothing of it may be a script.
        self.send_header("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'")
        self.end_headers()

    def log_message(self, format: str, *words: t.Any) -> None:
        """Log nothing."""


@contextlib.contextmanager
def serve(port: int, state: t.Callable[[], t.Any]) -> t.Iterator[Server]:
    """Serve the page on the loopback until the end of the block."""
    with Server(port, state) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
