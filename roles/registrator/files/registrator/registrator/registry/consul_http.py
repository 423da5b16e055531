# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP to a Consul agent: address, TLS and token as Consul's own tools take them from the environment."""

from __future__ import annotations

import os
import typing as t

from ..connection import Answer, Security
from . import Context, RegistryError, RegistryUnreachable
from .http import Http, json_of

DEFAULT_ADDRESS = "127.0.0.1:8500"


class NotThere(RegistryError):
    """What was to be changed is not there."""


class ConsulHttp:
    """Requests to one agent."""

    def __init__(self, context: Context, socket_path: str = "") -> None:
        unix_socket = socket_path if context.uri.scheme.endswith("-unix") else ""
        self._http = Http(_base_url(context), _security(context.environment), unix_socket)
        self.base = self._http.base
        self._token = _Token(context.environment)

    def request(self, method: str, path: str, right: str = "", **arguments: t.Any) -> Answer:
        """Return an answer of 200, or 404 of a GET. Raises NotThere or RegistryError with Consul's own words.

        ``right`` is what the token must be allowed, for the message when it is not.
        """
        answer = self._http.request(method, path, headers=self._token.header(), **arguments)
        if answer.status_code == 200 or (answer.status_code == 404 and method == "GET"):
            return answer
        text = f"Unexpected response code: {answer.status_code} ({answer.text.strip()[:300]})"
        if "No cluster leader" in answer.text or answer.status_code in (502, 503, 504):
            raise RegistryUnreachable(text)
        if answer.status_code == 404 or "Unknown service" in answer.text:
            raise NotThere(text)
        if answer.status_code == 403 and right:
            text += f": the token needs {right}"
        raise RegistryError(text)

    def is_hung_up(self) -> bool:
        return self._http.is_hung_up()

    def leader(self) -> str:
        """Return the address of the cluster's leader."""
        return t.cast(str, json_of(self.request("GET", "/v1/status/leader"), str))


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


def _base_url(context: Context) -> str:
    environment, uri = context.environment, context.uri
    address = uri.netloc.rpartition("@")[2] or environment.get("CONSUL_HTTP_ADDR") or DEFAULT_ADDRESS
    scheme, separator, rest = address.partition("://")
    if separator:
        address = rest
    is_tls = uri.scheme == "consul-tls" or (separator and scheme == "https") or _is_true(environment.get("CONSUL_HTTP_SSL", ""))
    return f"{'https' if is_tls else 'http'}://{address.rstrip('/')}"


def _security(environment: t.Mapping[str, str]) -> Security:
    authority = environment.get("CONSUL_CACERT") or environment.get("CONSUL_CAPATH") or True
    verify = environment.get("CONSUL_HTTP_SSL_VERIFY", "")
    certificate, key = environment.get("CONSUL_CLIENT_CERT", ""), environment.get("CONSUL_CLIENT_KEY", "")
    user, _colon, password = environment.get("CONSUL_HTTP_AUTH", "").partition(":")
    return Security(
        verify=authority if not verify or _is_true(verify) else False,
        certificate=(certificate, key) if certificate and key else None,
        server_name=environment.get("CONSUL_TLS_SERVER_NAME", ""),
        user=(user, password) if user else None,
    )


def _is_true(text: str) -> bool:
    return text.lower() in ("1", "t", "true")
