# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services as keys of Consul's key-value store: ``<prefix>/<name>/<id>`` holds ``<address>:<port>``.

A key's flags, a number that Consul keeps with it for whoever wrote it, say which Registrator did.
"""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ..mark import Owner
from . import BadAddress, Context, RegistryError, shown
from .consul_http import ConsulHttp
from .http import json_of, quoted
from .keyvalue import KeyValue, Store, Stored, address_and_port

# Consul 1.21.5 takes a few characters in keys and no others, which was taken back with the next releases.
BAD_KEY = "invalid key name"
NO_COLONS = "Consul 1.21.5 takes no ':' in keys, and ids of services have one unless SERVICE_ID says otherwise. Use another release of Consul"


def adapter(context: Context) -> KeyValue:
    """Return the registry that the URI names."""
    socket_path, prefix = "", context.uri.path
    if context.uri.scheme.endswith("-unix"):
        socket_path, _colon, prefix = context.uri.path.partition(":")
    prefix = prefix.strip("/")
    if not prefix:
        raise BadAddress(f"bad adapter uri: {shown(context.options.registry)}: a path is missing, under which the keys are written")
    return KeyValue(_ConsulStore(ConsulHttp(context, socket_path), context.owner), prefix, address_and_port)


class _ConsulStore(Store):
    def __init__(self, http: ConsulHttp, owner: Owner) -> None:
        self._http = http
        self._flags = _flags(owner.text)
        self._owners = {_flags(owner.old): owner.old, self._flags: owner.text, 0: ""}

    def ping(self) -> str:
        return f"consulkv: current leader  {self._http.leader()}"

    def put(self, key: str, value: str) -> None:
        self._write("PUT", key, f"?flags={self._flags}", data=value.encode())

    def delete(self, key: str) -> None:
        self._write("DELETE", key)

    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        folder = prefix.rstrip("/")
        path = f"/v1/kv/{quoted(folder)}{prefix[len(folder) :]}?recurse=true"
        answer = self._http.request("GET", path, right=f"key:list on {prefix}")
        found = json_of(answer, list) if answer.status_code == 200 else []
        return {str(pair["Key"]): self._stored(pair) for pair in found}

    def _write(self, method: str, key: str, query: str = "", **arguments: t.Any) -> None:
        try:
            self._http.request(method, f"/v1/kv/{quoted(key)}{query}", right=f"key:write on {key}", **arguments)
        except RegistryError as error:
            if BAD_KEY not in str(error) or ":" not in key:
                raise
            raise RegistryError(f"{error}: {NO_COLONS}") from None

    def _stored(self, pair: t.Mapping[str, t.Any]) -> Stored:
        flags = pair.get("Flags") or 0
        return Stored(base64.b64decode(pair.get("Value") or "").decode("utf-8", "replace"), self._owners.get(flags, f"number {flags}"))


def _flags(owner: str) -> int:
    return int.from_bytes(hashlib.sha256(f"registrator {owner}".encode()).digest()[:7], "big")
