# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m registrator.proxy [LISTEN [ENGINE]]``: let only what Registrator reads pass to the engine's socket.

Whoever may write to the engine's socket is root on its host. Behind this proxy one can list and inspect containers, follow
events, and nothing else. The environment of containers is part of what can be read.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import typing as t

from .log import Log

LISTEN, ENGINE = "/run/engine/docker.sock", "/tmp/docker.sock"
ALLOWED = re.compile(
    rb"(?:GET|HEAD) (?:/v[0-9]+\.[0-9]+)?/(?:_ping|version|events|containers/json|containers/[a-zA-Z0-9][a-zA-Z0-9_.-]*/json)(?:\?[!-~]*)? HTTP/1\.[01]"
)
CLOSE = re.compile(rb"^connection:[ \t]*close[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
END_OF_HEAD = b"\r\n\r\n"
LONGEST_HEAD, BUFFER = 16 * 1024, 64 * 1024
ONLY_OWNER = 0o177
SWITCH_INTERVAL_S = 0.001


def passed_on(head: bytes) -> t.Optional[bytes]:
    """Return the request that the engine gets for a client's; None when it may not pass.

    No header of the client's passes. So the engine never expects a body or another protocol, and what a client sends
    behind a head is judged as the next request.
    """
    line, _end, fields = head.partition(b"\r\n")
    if not ALLOWED.fullmatch(line):
        return None
    return line + b"\r\nHost: docker" + (b"\r\nConnection: close" if CLOSE.search(fields) else b"") + END_OF_HEAD


class Proxy(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers on the socket file ``path`` for the engine at ``engine``; nobody but their owner may connect."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, engine: str, log: Log) -> None:
        self.engine, self.log = engine, log
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # left by one that was killed
        mask = os.umask(ONLY_OWNER)
        try:
            super().__init__(path, _Connection)
        finally:
            os.umask(mask)


class _Connection(socketserver.BaseRequestHandler):
    """One client, and one connection to the engine for it."""

    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            try:
                engine.connect(self.server.engine)
            except OSError as error:
                self._say(b"502 Bad Gateway", f"the engine's socket does not answer: {error}")
                return
            threading.Thread(target=_copy, args=(engine, self.request), daemon=True).start()
            with contextlib.suppress(OSError):
                self._pass_on(engine)
            _hang_up(engine)

    def _pass_on(self, engine: socket.socket) -> None:
        for head in _heads(self.request):
            request = passed_on(head)
            if request is None:
                line = head.partition(b"\r\n")[0][:200].decode("ascii", "backslashreplace")
                self.server.log.info(f"refused: {line!r}")
                self._say(b"403 Forbidden", "this proxy lets only reads of containers, events and the version pass")
                return
            engine.sendall(request)

    def _say(self, status: bytes, message: str) -> None:
        body = json.dumps({"message": message}).encode()
        head = [b"HTTP/1.1 " + status, b"Content-Type: application/json", b"Content-Length: %d" % len(body), b"Connection: close"]
        with contextlib.suppress(OSError):
            self.request.sendall(b"\r\n".join(head) + END_OF_HEAD + body)


def _heads(client: socket.socket) -> t.Iterator[bytes]:
    """Return the heads of a client's requests, until it hangs up or sends one that is too long."""
    data = b""
    while len(data) <= LONGEST_HEAD:
        head, end, rest = data.partition(END_OF_HEAD)
        if end:
            yield head
            data = rest
            continue
        received = client.recv(BUFFER)
        if not received:
            return
        data += received


def _copy(engine: socket.socket, client: socket.socket) -> None:
    """Hand on what the engine says as soon as it says it."""
    with contextlib.suppress(OSError):
        while True:
            data = engine.recv(BUFFER)
            if not data:
                break
            client.sendall(data)
    _hang_up(client)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _end(number: int, frame: t.Any) -> t.NoReturn:
    sys.exit(0)


def main(arguments: t.Sequence[str]) -> None:
    """Go on until a signal ends it."""
    path, engine = (*arguments, *(LISTEN, ENGINE)[len(arguments) :])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    signal.signal(signal.SIGTERM, _end)
    log = Log()
    with Proxy(path, engine, log) as proxy:
        log.info(f"Letting reads of {engine} pass on {path}")
        proxy.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
