# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP to a Consul agent: address, TLS and token as Consul's own tools take them from the environment."""

from __future__ import annotations

import os
import threading
import typing as t
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from . import Context, RegistryError, RegistryUnreachable

# Leader-bound calls of an agent without a leader fail after 7 seconds: wait longer than that.
TIMEOUT_S = 10.0
DEFAULT_ADDRESS = "127.0.0.1:8500"


class ConsulHttp:
    """Requests to one agent, on connections that are kept alive, one for each thread."""

    def __init__(self, context: Context, socket_path: str = "") -> None:
        self._unix_socket = socket_path if context.uri.scheme.endswith("-unix") else ""
        self._base = "http://localhost" if self._unix_socket else _base_url(context)
        self._verify, self._certificate = _tls(context.environment)
        self._authentication = _basic(context.environment.get("CONSUL_HTTP_AUTH", ""))
        self._server_name = context.environment.get("CONSUL_TLS_SERVER_NAME", "")
        self._token = _Token(context.environment)
        self._local = threading.local()

    def request(self, method: str, path: str, right: str = "", **arguments: t.Any) -> requests.Response:
        """Return an answer of 200, or 404 of a GET. Raises RegistryError with Consul's own words.

        ``right`` is what the token must be allowed, for the message when it is not.
        """
        try:
            answer = self._session().request(method, self._base + path, headers=self._token.header(), timeout=TIMEOUT_S, **arguments)
        except requests.RequestException as error:
            raise RegistryUnreachable(f"Consul at {self._unix_socket or self._base}: {_reason(error)}") from None
        if answer.status_code == 200 or (answer.status_code == 404 and method == "GET"):
            return answer
        text = f"Unexpected response code: {answer.status_code} ({answer.text.strip()[:300]})"
        if "No cluster leader" in answer.text or answer.status_code in (502, 503, 504):
            raise RegistryUnreachable(text)
        if answer.status_code == 403 and right:
            text += f": the token needs {right}"
        raise RegistryError(text)

    def _session(self) -> requests.Session:
        session = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # an agent is never behind a proxy, and reading the environment costs each request
            session.auth, session.verify, session.cert = self._authentication, self._verify, self._certificate
            if self._unix_socket:
                session.mount("http://", _unix_adapter(self._unix_socket))
            if self._server_name:
                session.mount("https://", _ServerName(self._server_name))
            self._local.session = session
        return t.cast(requests.Session, session)


class _Token:
    """The ACL token, from a file that is read again whenever it changes, else from the environment."""

    def __init__(self, environment: t.Mapping[str, str]) -> None:
        self._path = environment.get("CONSUL_HTTP_TOKEN_FILE", "")
        self._text = environment.get("CONSUL_HTTP_TOKEN", "")
        self._seen: t.Tuple[int, ...] = ()

    def header(self) -> t.Dict[str, str]:
        if self._path:
            self._read()
        return {"X-Consul-Token": self._text} if self._text else {}

    def _read(self) -> None:
        try:
            status = os.stat(self._path)
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                with open(self._path, encoding="utf-8") as file:
                    self._text = file.read().strip()
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            # A file that is just being replaced may be missing for a moment: the token read last still counts.
            if not self._text:
                raise RegistryError(f"CONSUL_HTTP_TOKEN_FILE cannot be read: {error}") from None


class _ServerName(HTTPAdapter):
    """Expects another name in the server's certificate than the one in its address."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments: t.Any, **settings: t.Any) -> None:
        super().init_poolmanager(*arguments, server_hostname=self._name, assert_hostname=self._name, **settings)


def quoted(text: str) -> str:
    """Return a path segment, with the slashes of an identifier left as they are."""
    return quote(text, safe="/:")


def _base_url(context: Context) -> str:
    environment, uri = context.environment, context.uri
    address = uri.netloc.rpartition("@")[2] or environment.get("CONSUL_HTTP_ADDR") or DEFAULT_ADDRESS
    scheme, separator, rest = address.partition("://")
    if separator:
        address = rest
    is_tls = uri.scheme == "consul-tls" or (separator and scheme == "https") or _is_true(environment.get("CONSUL_HTTP_SSL", ""))
    return f"{'https' if is_tls else 'http'}://{address.rstrip('/')}"


def _tls(environment: t.Mapping[str, str]) -> t.Tuple[t.Union[bool, str], t.Optional[t.Tuple[str, str]]]:
    """Return what ``requests`` wants to verify with, and the client's certificate and key."""
    authority = environment.get("CONSUL_CACERT") or environment.get("CONSUL_CAPATH") or ""
    verify = environment.get("CONSUL_HTTP_SSL_VERIFY", "")
    certificate, key = environment.get("CONSUL_CLIENT_CERT", ""), environment.get("CONSUL_CLIENT_KEY", "")
    is_verified = not verify or _is_true(verify)
    return (authority or True) if is_verified else False, (certificate, key) if certificate and key else None


def _basic(text: str) -> t.Optional[t.Tuple[str, str]]:
    user, _, password = text.partition(":")
    return (user, password) if text else None


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "t", "true")


def _reason(error: BaseException) -> str:
    """Return the innermost reason of an HTTP library's error: `Connection refused` instead of a page of wrappers."""
    inner: t.Any = error
    while getattr(inner, "reason", None) or (inner.args and isinstance(inner.args[0], BaseException)):
        inner = getattr(inner, "reason", None) or inner.args[0]
    return str(inner).rpartition(": ")[2] or type(error).__name__


def _unix_adapter(path: str) -> HTTPAdapter:
    # The Docker SDK carries the one that speaks HTTP over a socket file; there is no reason to write another.
    from docker.transport import UnixHTTPAdapter

    adapter = UnixHTTPAdapter(f"http+unix://{path}", timeout=TIMEOUT_S)
    return t.cast(HTTPAdapter, adapter)
