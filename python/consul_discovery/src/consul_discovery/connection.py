# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""One connection to an agent, kept alive. A read that blocks can be interrupted from another thread."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
import typing as t

from .address import Address, Tls
from .errors import AgentError, ConfigurationError
from .text import printable

CONNECT_SECONDS = 5.0
LARGEST_ANSWER = 64 << 20
_CHUNK = 1 << 16


class Answer(t.NamedTuple):
    status: int
    headers: t.Mapping[str, str]
    body: bytes


class _Reader(io.RawIOBase):
    """Reads a socket up to one moment: a peer that dribbles is cut off at the same time as one that hangs."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


class _Channel(http.client.HTTPConnection):
    """``http.client`` over the sockets of ``Connection``."""

    def __init__(self, address: Address, connect: t.Callable[[], socket.socket]) -> None:
        super().__init__(address.host, address.port)
        self._connect, self.deadline = connect, 0.0

    def connect(self) -> None:
        self.sock = self._connect()

    def close(self) -> None:
        # Called before the answer is read when it is to be the connection's last. The socket is closed by ``Connection``.
        self.sock = None
        super().close()

    def response_class(self, sock: socket.socket, *arguments: t.Any, **options: t.Any) -> http.client.HTTPResponse:  # type: ignore[override]
        return http.client.HTTPResponse(t.cast(socket.socket, _File(sock, self.deadline)), *arguments, **options)


class _File:
    """What ``HTTPResponse`` wants of a socket."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline), _CHUNK)


class Connection:
    """Used by one thread; ``interrupt`` is for any other."""

    def __init__(self, address: Address, tls: Tls) -> None:
        self._address, self._tls = address, tls
        self._channel: t.Optional[_Channel] = None
        self._socket: t.Optional[socket.socket] = None
        self._interrupted = False

    def get(self, path: str, headers: t.Mapping[str, str], timeout: float) -> Answer:
        """Ask, and read the whole answer within ``timeout`` seconds. Raises ``AgentError``."""
        try:
            return self._get(path, headers, time.monotonic() + timeout)
        except (OSError, http.client.HTTPException, ValueError, ConfigurationError) as error:
            self.close()
            raise AgentError(f"{self._address} {_reason(error, timeout)}") from None
        except BaseException:
            self.close()
            raise

    def _get(self, path: str, headers: t.Mapping[str, str], deadline: float) -> Answer:
        if self._channel is None:
            self._channel = _Channel(self._address, self._connect)
        channel = self._channel
        channel.deadline = deadline
        if channel.sock is not None:
            channel.sock.settimeout(CONNECT_SECONDS)
        channel.request("GET", self._address.prefix + path, headers=dict(headers))
        response = channel.getresponse()
        parts: t.List[bytes] = []
        size = 0
        while True:
            part = response.read(_CHUNK)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > LARGEST_ANSWER:
                raise http.client.HTTPException(f"more than {LARGEST_ANSWER >> 20} MiB")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        if response.will_close:
            self.close()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, b"".join(parts))

    def _connect(self) -> socket.socket:
        address = self._address
        if address.scheme == "unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.settimeout(CONNECT_SECONDS)
                sock.connect(address.path)
            except BaseException:
                sock.close()
                raise
        else:
            sock = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.scheme == "https":
            context = self._tls.context()
            # The handshake may hang, and is begun only when it can be interrupted.
            secured = context.wrap_socket(sock, server_hostname=self._tls.server_name or address.host, do_handshake_on_connect=False)
            self._publish(secured)
            secured.do_handshake()
            return secured
        self._publish(sock)
        return sock

    def _publish(self, sock: socket.socket) -> None:
        self._socket = sock
        if self._interrupted:
            sock.close()
            raise ConnectionAbortedError("interrupted")

    def interrupt(self) -> None:
        """End a read that blocks, and every later one. Any thread may call it."""
        self._interrupted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it may have been closed already
                # Not SSLSocket's own, which would pull the state from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this process's end. Nothing is sent: after a fork the connection is the parent's."""
        if self._channel is not None:
            self._channel.close()
        if self._socket is not None:
            self._socket.close()
        self._channel = self._socket = None


_REASONS: t.Dict[t.Type[Exception], str] = {
    ConfigurationError: "cannot be asked: {error}",
    ConnectionRefusedError: "refuses connections: no agent listens there",
    FileNotFoundError: "does not exist: no agent listens there",
    ssl.SSLCertVerificationError: "shows a certificate that is not trusted: {error.verify_message}",
    socket.timeout: "gave no whole answer within {timeout:.0f} s",
    http.client.IncompleteRead: "broke off in the middle of an answer",
    http.client.RemoteDisconnected: "closed the connection without an answer",
}


def _reason(error: Exception, timeout: float) -> str:
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return printable(text.format(error=error, timeout=timeout))
    detail = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return f"gave no answer: {printable(detail, 120)}"
