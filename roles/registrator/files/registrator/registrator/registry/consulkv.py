# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services as keys of Consul's key-value store: ``<prefix>/<name>/<id>`` holds ``<address>:<port>``."""

from __future__ import annotations

from ..service import Service
from . import BadAddress, Context, Registry
from .consul_http import ConsulHttp, quoted


class ConsulKv(Registry):
    """See ``Registry`` for what the methods promise."""

    def __init__(self, context: Context) -> None:
        socket_path, prefix = "", context.uri.path
        if context.uri.scheme.endswith("-unix"):
            socket_path, _, prefix = context.uri.path.partition(":")
        self._prefix = prefix.strip("/")
        if not self._prefix:
            raise BadAddress(f"bad adapter uri: {context.options.registry}: a path is missing, under which the keys are written")
        self._http = ConsulHttp(context, socket_path)

    def ping(self) -> str:
        return f"consulkv: current leader  {self._http.request('GET', '/v1/status/leader').json()}"

    def register(self, service: Service) -> None:
        self._http.request("PUT", self._path(service), right=f"key:write on {self._key(service)}", data=value_of(service))

    def deregister(self, service: Service) -> None:
        self._http.request("DELETE", self._path(service), right=f"key:write on {self._key(service)}")

    def fingerprint(self, service: Service) -> str:
        return f"{self._key(service)}={value_of(service)}"

    def _key(self, service: Service) -> str:
        return f"{self._prefix}/{service.name}/{service.id}"

    def _path(self, service: Service) -> str:
        return f"/v1/kv/{quoted(self._key(service))}"


def value_of(service: Service) -> str:
    """Return ``address:port``, an IPv6 address in brackets."""
    address = f"[{service.address}]" if ":" in service.address else service.address
    return f"{address}:{service.port}"
