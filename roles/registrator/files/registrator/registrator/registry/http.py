# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP to a registry, on connections that are kept alive, one for each thread."""

from __future__ import annotations

import socket
import struct
import threading
import typing as t
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from ..names import is_path
from . import RegistryError, RegistryUnreachable

CONNECT_TIMEOUT_S = 3.0
# Leader-bound calls of a Consul agent without a leader fail after 7 seconds: wait longer than that.
ANSWER_TIMEOUT_S = 10.0
# Closing a connection discards what was not sent. Otherwise the kernel would go on trying, and after a cut of the network
# an old request that was given up could still arrive, behind newer ones.
SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))]


class Security(t.NamedTuple):
    """How to prove who one is, and what to believe of the server.

    ``verify`` and ``certificate`` are as ``requests`` takes them; ``server_name`` is expected in the server's
    certificate instead of the name in its address; ``user`` is a name and a password.
    """

    verify: t.Union[bool, str] = True
    certificate: t.Optional[t.Tuple[str, str]] = None
    server_name: str = ""
    user: t.Optional[t.Tuple[str, str]] = None


class Http:
    """Requests to one server, whose address is ``base``, over a socket file where ``unix_socket`` names one."""

    def __init__(self, base: str, security: Security, unix_socket: str = "") -> None:
        self.base = "http://localhost" if unix_socket else base
        self._name = unix_socket or base
        self._security, self._unix_socket = security, unix_socket
        self._local = threading.local()

    def request(self, method: str, path: str, **arguments: t.Any) -> requests.Response:
        """Return the answer, whatever its code. Raises RegistryUnreachable when there is none.

        ``path`` is made of what is ``quoted``. No server is followed elsewhere: who redirects a request refuses it.
        """
        timeout = (CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S)
        try:
            return self._session().request(method, self.base + path, timeout=timeout, allow_redirects=False, **arguments)
        except OSError as error:
            raise RegistryUnreachable(f"{self._name}: {_reason(error)}") from None

    def _session(self) -> requests.Session:
        session = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # a registry is never behind a proxy, and reading the environment costs each request
            session.auth, session.verify, session.cert = self._security.user, self._security.verify, self._security.certificate
            session.mount("http://", _unix_adapter(self._unix_socket) if self._unix_socket else _Adapter())
            session.mount("https://", _Adapter(self._security.server_name))
            self._local.session = session
        return t.cast(requests.Session, session)


def quoted(text: str) -> str:
    """Return a part of a path, with its slashes, which leads nowhere but below what stands before it.

    Raises RegistryError for what any server or library on the way could understand in another way.
    """
    if not is_path(text):
        raise RegistryError(f"{text!r} cannot be a part of a path")
    return "/".join(quote(segment, safe=":") for segment in text.split("/"))


def json_of(answer: requests.Response, kind: t.Type[t.Any]) -> t.Any:
    """Return the JSON of an answer, which must be of a kind, such as ``dict``. Raises RegistryError for anything else."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise RegistryError(f"{answer.request.method} {answer.request.path_url} is answered by what is no registry's answer: {answer.text.strip()[:200]!r}")
    return found


class _Adapter(HTTPAdapter):
    """Takes back what was given up, and expects another name in the server's certificate where it is told one."""

    def __init__(self, server_name: str = "") -> None:
        expected = {"server_hostname": server_name, "assert_hostname": server_name} if server_name else {}
        self._settings: t.Dict[str, t.Any] = {"socket_options": SOCKET_OPTIONS, **expected}
        super().__init__()

    def init_poolmanager(self, *arguments: t.Any, **settings: t.Any) -> None:
        super().init_poolmanager(*arguments, **{**settings, **self._settings})


def _reason(error: BaseException) -> str:
    """Return the innermost reason of an HTTP library's error: `Connection refused` instead of a page of wrappers."""
    inner: t.Any = error
    while getattr(inner, "reason", None) or (inner.args and isinstance(inner.args[0], BaseException)):
        inner = getattr(inner, "reason", None) or inner.args[0]
    return str(inner).rpartition(": ")[2] or type(error).__name__


def _unix_adapter(path: str) -> HTTPAdapter:
    # The Docker SDK carries the one that speaks HTTP over a socket file; there is no reason to write another.
    from docker.transport import UnixHTTPAdapter

    return t.cast(HTTPAdapter, UnixHTTPAdapter(f"http+unix://{path}", timeout=ANSWER_TIMEOUT_S))
