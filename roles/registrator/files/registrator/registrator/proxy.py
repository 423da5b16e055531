# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m registrator.proxy [-label NAME] [-whole] [LISTEN [ENGINE]]``: let pass to the engine what Registrator reads.

Whoever may write to the engine's socket is root on its host. Behind this proxy one can list and inspect containers, follow
events, and nothing else, and sees of them only what ``proxy_rules`` lets through. ``-label`` names one more label that
passes, for ``-useIpFromLabel``; with ``-whole`` inspected containers pass as they are, for templates in ``-tags``.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import time
import typing as t

from .flags import Flag, HelpRequested, UsageError, parse, usage
from .log import Log
from .proxy_rules import REFUSAL, Request, allowed, document_rule

LISTEN, ENGINE = "/run/engine/docker.sock", "/tmp/docker.sock"
FLAGS = (Flag("label", "", "One more label that passes"), Flag("whole", False, "Let inspected containers pass as they are"))
END_OF_HEAD = b"\r\n\r\n"
LONGEST_HEAD, BUFFER = 16 * 1024, 64 * 1024
MOST_CONNECTIONS = 32
HEAD_S, IDLE_S, ENGINE_S = 10.0, 600.0, 60.0
SAY_AGAIN_S = 60.0
ONLY_OWNER = 0o177
SWITCH_INTERVAL_S = 0.001


class Proxy(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers on the socket file ``path`` for the engine at ``engine``; nobody but their owner may connect."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, engine: str, log: Log, labels: t.Sequence[str] = (), whole: bool = False) -> None:
        self.engine, self.log, self.labels, self.whole = engine, log, labels, whole
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._quiet_until = 0.0
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # left by one that was killed
        mask = os.umask(ONLY_OWNER)
        try:
            super().__init__(path, _Connection)
        finally:
            os.umask(mask)

    def verify_request(self, request: t.Any, client_address: t.Any) -> bool:
        """Take no more connections than there is room for: those that are open go on. The log says so, once a minute at most."""
        if self._free.acquire(blocking=False):
            return True
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + SAY_AGAIN_S
            self.log.info(f"refused: {MOST_CONNECTIONS} connections are open, and there is no room for more")
        return False

    def process_request_thread(self, request: t.Any, client_address: t.Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Engine(http.client.HTTPConnection):
    """A connection to the engine's socket file."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=ENGINE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Connection(socketserver.BaseRequestHandler):
    """One client, and one connection to the engine for it."""

    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        engine = _Engine(self.server.engine)
        with contextlib.closing(engine), contextlib.suppress(OSError):
            for head in _heads(self.request):
                request = allowed(head)
                if request is None:
                    line = head.partition(b"\r\n")[0][:200].decode("ascii", "backslashreplace")
                    self.server.log.info(f"refused: {line!r}")
                    self._refuse(403, "this proxy lets only reads of containers, events and the version pass")
                    return
                if not self._pass_on(engine, request) or request.closes:
                    return

    def _pass_on(self, engine: _Engine, request: Request) -> bool:
        """Ask the engine, and hand on what it may say; tell whether the connection may go on.

        Nothing of the client's passes but its request line. So the engine never expects a body or another protocol, and
        what a client sends behind a head is judged as the next request.
        """
        try:
            answer = self._asked(engine, request)
            if request.what == "events" and answer.status == 200:
                self._stream(engine, answer)
                return False
            self._answer(request, answer, answer.read())
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            engine.close()
            self._refuse(502, f"the engine's socket does not answer as it should: {type(error).__name__}: {error}")
            return False
        return True

    def _asked(self, engine: _Engine, request: Request) -> http.client.HTTPResponse:
        """Ask on the connection that there is, and once more on a new one where the engine has just closed it."""
        for is_last in (engine.sock is None, True):
            try:
                engine.request(request.method, request.target)
                return engine.getresponse()
            except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
                engine.close()
                if is_last:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _answer(self, request: Request, answer: http.client.HTTPResponse, body: bytes) -> None:
        if request.what == "_ping":
            kind, body = "text/plain", body[:2]
        elif request.method == "HEAD":
            kind = "application/json"
        else:
            rule = document_rule(request.what, self.server.labels, self.server.whole) if answer.status == 200 else REFUSAL
            kind, body = "application/json", json.dumps(rule(json.loads(body)), separators=(",", ":")).encode()
        version = answer.getheader("Api-Version")
        more = [("Api-Version", version)] if version and version.replace(".", "").isdecimal() else []
        self._say(answer.status, kind, b"" if request.method == "HEAD" else body, more)

    def _stream(self, engine: _Engine, answer: http.client.HTTPResponse) -> None:
        """Hand on each event as soon as the engine tells it, until either end hangs up."""
        if engine.sock:
            engine.sock.settimeout(None)
        rule = document_rule("events")
        other = socket.socket(fileno=os.dup(answer.fileno()))
        threading.Thread(target=_hang_up_with, args=(self.request, other), daemon=True).start()
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in answer:
            if line.strip():
                event = json.dumps(rule(json.loads(line)), separators=(",", ":")).encode() + b"\n"
                self.request.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        self.request.sendall(b"0\r\n\r\n")

    def _refuse(self, status: int, message: str) -> None:
        self._say(status, "application/json", json.dumps({"message": message}).encode(), [("Connection", "close")])

    def _say(self, status: int, kind: str, body: bytes, more: t.Sequence[t.Tuple[str, str]] = ()) -> None:
        reason = http.client.responses.get(status, "Unknown")
        fields = [f"HTTP/1.1 {status} {reason}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in more)]
        with contextlib.suppress(OSError):
            self.request.sendall("\r\n".join(fields).encode() + END_OF_HEAD + body)


def _heads(client: socket.socket) -> t.Iterator[bytes]:
    """Return the heads of a client's requests, until it hangs up, or sends one that is too long or takes too long."""
    data, began = b"", 0.0
    while len(data) <= LONGEST_HEAD:
        head, end, rest = data.partition(END_OF_HEAD)
        if end:
            yield head
            data, began = rest, 0.0
            continue
        if data and not began:
            began = time.monotonic()
        left = began + HEAD_S - time.monotonic() if data else IDLE_S
        if left <= 0:
            return
        client.settimeout(left)
        received = client.recv(BUFFER)
        if not received:
            return
        data += received


def _hang_up_with(client: socket.socket, engine: socket.socket) -> None:
    """Wait until a client hangs up, or says what nobody asked for, and then let go of the engine."""
    with engine:
        with contextlib.suppress(OSError):
            client.settimeout(None)
            client.recv(1)
        with contextlib.suppress(OSError):
            engine.shutdown(socket.SHUT_RDWR)


def _end(number: int, frame: t.Any) -> t.NoReturn:
    sys.exit(0)


def main(arguments: t.Sequence[str]) -> None:
    """Go on until a signal ends it."""
    try:
        values, rest = parse(FLAGS, arguments)
    except (UsageError, HelpRequested) as error:
        sys.exit(f"{error}\n{usage(FLAGS, 'registrator.proxy')}")
    path, engine = (*rest, *(LISTEN, ENGINE)[len(rest) :])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    signal.signal(signal.SIGTERM, _end)
    log = Log()
    with Proxy(path, engine, log, [str(values["label"])] if values["label"] else [], bool(values["whole"])) as proxy:
        log.info(f"Letting reads of {engine} pass on {path}")
        proxy.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
