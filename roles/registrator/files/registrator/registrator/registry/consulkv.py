# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services as keys of Consul's key-value store: ``<prefix>/<name>/<id>`` holds ``<address>:<port>``.

A key's flags, a number that Consul keeps with it for whoever wrote it, say which host's Registrator did.
"""

from __future__ import annotations

import base64
import hashlib
import typing as t

from . import BadAddress, Context
from .consul_http import ConsulHttp, quoted
from .keyvalue import KeyValue, Store, Stored, address_and_port


def adapter(context: Context) -> KeyValue:
    """Return the registry that the URI names."""
    socket_path, prefix = "", context.uri.path
    if context.uri.scheme.endswith("-unix"):
        socket_path, _colon, prefix = context.uri.path.partition(":")
    prefix = prefix.strip("/")
    if not prefix:
        raise BadAddress(f"bad adapter uri: {context.options.registry}: a path is missing, under which the keys are written")
    return KeyValue(_ConsulStore(ConsulHttp(context, socket_path), context.host), prefix, context.host, address_and_port)


class _ConsulStore(Store):
    def __init__(self, http: ConsulHttp, host: str) -> None:
        self._http = http
        self._flags = int.from_bytes(hashlib.sha256(f"registrator {host}".encode()).digest()[:7], "big")

    def ping(self) -> str:
        return f"consulkv: current leader  {self._http.request('GET', '/v1/status/leader').json()}"

    def put(self, key: str, value: str) -> None:
        path = f"/v1/kv/{quoted(key)}?flags={self._flags}"
        self._http.request("PUT", path, right=f"key:write on {key}", data=value.encode())

    def delete(self, key: str) -> None:
        self._http.request("DELETE", f"/v1/kv/{quoted(key)}", right=f"key:write on {key}")

    def under(self, prefix: str) -> t.Optional[t.Mapping[str, Stored]]:
        answer = self._http.request("GET", f"/v1/kv/{quoted(prefix)}?recurse=true", right=f"key:list on {prefix}")
        found = answer.json() if answer.status_code == 200 else []
        return {pair["Key"]: self._stored(pair) for pair in found} if isinstance(found, list) else None

    def _stored(self, pair: t.Mapping[str, t.Any]) -> Stored:
        return Stored(base64.b64decode(pair["Value"] or "").decode("utf-8", "replace"), pair["Flags"] == self._flags)
