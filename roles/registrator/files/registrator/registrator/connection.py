# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP on connections that are kept alive, one for each thread, with no more work for a request than it needs.

A cold start asks engine and registry twice for each container, and a library that reads the environment and builds objects
for each of these requests takes several times as long for them as all the rest of the program.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import select
import socket
import ssl
import struct
import threading
import typing as t
from urllib.parse import urlsplit

# Closing a connection discards what was not sent. Otherwise the kernel would go on trying, and after a cut of the network
# an old request that was given up could still arrive, behind newer ones.
DISCARD = struct.pack("ii", 1, 0)
GONE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
FAILURES = (OSError, http.client.HTTPException, ValueError)
"""What ``Connections.request`` raises when there is no answer."""


class Security(t.NamedTuple):
    """How to prove who one is, and what to believe of the server.

    ``verify`` is the file or folder of the authorities that are believed, or says whether the usual ones have to vouch for the
    server. ``certificate`` is a file and that of its key; ``server_name`` is expected in the server's certificate instead of the
    name in its address; ``user`` is a name and a password.
    """

    verify: t.Union[bool, str] = True
    certificate: t.Optional[t.Tuple[str, str]] = None
    server_name: str = ""
    user: t.Optional[t.Tuple[str, str]] = None


class Answer(t.NamedTuple):
    """``asked`` is the method and the path, for messages."""

    status_code: int
    content: bytes
    asked: str

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> t.Any:
        """Raises ValueError when it is none."""
        return json.loads(self.content)


class Connections:
    """Requests to one server, over a socket file where ``unix_socket`` names one. The times are in seconds."""

    def __init__(self, base: str, security: Security, unix_socket: str, connect_s: float, answer_s: float) -> None:
        self._base, self._security, self._unix_socket, self._times = base, security, unix_socket, (connect_s, answer_s)
        self._context: t.Optional[ssl.SSLContext] = None
        self._local = threading.local()
        self._headers = {"Authorization": f"Basic {base64.b64encode(':'.join(security.user).encode()).decode()}"} if security.user else {}

    def request(self, method: str, path: str, headers: t.Mapping[str, str], body: t.Optional[bytes]) -> Answer:
        """Return the answer, whatever its code; nobody is followed elsewhere. Raises one of ``FAILURES``."""
        connection = self._kept()
        if connection is not None:
            try:
                return self._asked(connection, method, path, headers, body)
            except GONE:
                pass  # The server closed what was idle just when it was used again: what is asked for may be asked for twice.
        return self._asked(self._new(), method, path, headers, body)

    def is_hung_up(self) -> bool:
        """Tell, without asking anything, whether the other end has closed what this thread asked on last."""
        had_one = getattr(getattr(self._local, "connection", None), "sock", None) is not None
        return had_one and self._kept() is None

    def _kept(self) -> t.Optional[_Connection]:
        """Return this thread's connection, if the other end has not closed it."""
        connection: t.Optional[_Connection] = getattr(self._local, "connection", None)
        if connection is None or connection.sock is None:
            return None
        poll = select.poll()
        poll.register(connection.sock, select.POLLIN)
        if poll.poll(0):
            connection.close()
            return None
        return connection

    def _new(self) -> _Connection:
        url = urlsplit(self._base)
        if url.scheme == "https" and not self._unix_socket and self._context is None:
            self._context = _context(self._security)
        place = _Place(self._unix_socket, None if self._unix_socket else self._context, self._security.server_name, url.path, self._times[1])
        self._local.connection = _Connection(place, url.hostname or "localhost", url.port or (443 if url.scheme == "https" else 80), self._times[0])
        return t.cast(_Connection, self._local.connection)

    def _asked(self, connection: _Connection, method: str, path: str, headers: t.Mapping[str, str], body: t.Optional[bytes]) -> Answer:
        try:
            connection.request(method, connection.place.prefix + path, body, {**self._headers, **headers})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), f"{method} {path}")
        except BaseException:
            connection.close()
            raise


class _Place(t.NamedTuple):
    unix_socket: str
    context: t.Optional[ssl.SSLContext]
    server_name: str
    prefix: str
    answer_s: float


class _Connection(http.client.HTTPConnection):
    def __init__(self, place: _Place, host: str, port: int, connect_s: float) -> None:
        super().__init__(host, port, timeout=connect_s)
        self.place = place

    def connect(self) -> None:
        if self.place.unix_socket:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.place.unix_socket)
        else:
            super().connect()
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
        if self.place.context:
            self.sock = self.place.context.wrap_socket(self.sock, server_hostname=self.place.server_name or self.host)
        self.sock.settimeout(self.place.answer_s)


def reason(error: BaseException) -> str:
    """Return why there was no answer, in few words, and without what was sent: a token is part of that."""
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "the address, a header or the token has characters that no request can have"
    words = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return str(words) or type(error).__name__


def _context(security: Security) -> ssl.SSLContext:
    named = security.verify if isinstance(security.verify, str) else ""
    for path in (named, *(security.certificate or ())):
        if path and not os.access(path, os.R_OK):
            raise OSError(f"{path} cannot be read")
    is_folder = os.path.isdir(named)
    context = ssl.create_default_context(cafile=None if is_folder else named or None, capath=named if is_folder else None)
    if not security.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if security.certificate:
        context.load_cert_chain(*security.certificate)
    return context
