# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP to a registry."""

from __future__ import annotations

import json as json_format
import typing as t
from urllib.parse import quote, urlencode

from ..connection import FAILURES, Answer, Connections, Security, reason
from ..names import is_path
from . import RegistryError, RegistryUnreachable

CONNECT_TIMEOUT_S = 3.0
# Leader-bound calls of a Consul agent without a leader fail after 7 seconds: wait longer than that.
ANSWER_TIMEOUT_S = 10.0


class Http:
    """Requests to one server, whose address is ``base``, over a socket file where ``unix_socket`` names one."""

    def __init__(self, base: str, security: Security, unix_socket: str = "") -> None:
        self.base = "http://localhost" if unix_socket else base
        self._name = unix_socket or base
        self._connections = Connections(self.base, security, unix_socket, CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S)

    def request(
        self,
        method: str,
        path: str,
        headers: t.Optional[t.Mapping[str, str]] = None,
        params: t.Optional[t.Mapping[str, str]] = None,
        data: t.Union[bytes, str, t.Mapping[str, str], None] = None,
        json: t.Any = None,
    ) -> Answer:
        """Return the answer, whatever its code. Raises RegistryUnreachable when there is none.

        ``path`` is made of what is ``quoted``; ``data`` is a body, or the fields of a form. No server is followed elsewhere: who
        redirects a request refuses it.
        """
        sent = dict(headers or {})
        if json is not None:
            data, sent["Content-Type"] = json_format.dumps(json), "application/json"
        elif isinstance(data, t.Mapping):
            data, sent["Content-Type"] = urlencode(data), "application/x-www-form-urlencoded"
        body = data.encode() if isinstance(data, str) else data
        try:
            return self._connections.request(method, f"{path}?{urlencode(params)}" if params else path, sent, body)
        except FAILURES as error:
            raise RegistryUnreachable(f"{self._name}: {reason(error)}") from None

    def is_hung_up(self) -> bool:
        """Tell, without asking anything, whether the server has closed the connection that this thread asked on last."""
        return self._connections.is_hung_up()


def quoted(text: str) -> str:
    """Return a part of a path, with its slashes, which leads nowhere but below what stands before it.

    Raises RegistryError for what any server or library on the way could understand in another way.
    """
    if not is_path(text):
        raise RegistryError(f"{text!r} cannot be a part of a path")
    return "/".join(quote(segment, safe=":") for segment in text.split("/"))


def json_of(answer: Answer, kind: t.Type[t.Any]) -> t.Any:
    """Return the JSON of an answer, which must be of a kind, such as ``dict``. Raises RegistryError for anything else."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise RegistryError(f"{answer.asked} is answered by what is no registry's answer: {answer.text.strip()[:200]!r}")
    return found
