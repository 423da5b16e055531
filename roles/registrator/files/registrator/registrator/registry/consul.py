# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in a Consul agent, with its health checks (schemes ``consul``, ``consul-unix`` and ``consul-tls``)."""

from __future__ import annotations

import json
import threading
import typing as t

from .. import mark
from ..service import Entry, Service
from . import Context
from .consul_http import ConsulHttp, quoted


class Consul:
    """See ``registry.Registry`` for what the methods promise."""

    def __init__(self, context: Context) -> None:
        self._http = ConsulHttp(context, context.uri.netloc + context.uri.path)
        self._host = context.host
        self._last: t.Tuple[int, t.Dict[str, Entry]] = (0, {})
        self._lock = threading.Lock()

    def ping(self) -> str:
        return f"consul: current leader  {self._http.request('GET', '/v1/status/leader').json()}"

    def register(self, service: Service) -> None:
        # Without replacing, a check that the service no longer has would stay.
        path = "/v1/agent/service/register?replace-existing-checks=true"
        self._http.request("PUT", path, right=f"service:write on {service.name}", data=json.dumps(body(service, self._host)))

    def deregister(self, service: Service) -> None:
        self._http.request("PUT", f"/v1/agent/service/deregister/{quoted(service.id)}", right=f"service:write on {service.name}")

    def refresh(self, service: Service) -> None:
        """Consul's services do not expire."""

    def registered(self) -> t.Mapping[str, Entry]:
        raw = self._http.request("GET", "/v1/agent/services").content
        # The agent sorts its answer, so equal bytes mean that nothing changed, and nothing needs to be read again.
        digest = hash(raw)
        with self._lock:
            if digest != self._last[0]:
                self._last = digest, {service_id: entry_of(found) for service_id, found in json.loads(raw).items()}
            return self._last[1]

    def fingerprint(self, service: Service) -> str:
        return _fingerprint(body(service, self._host))


def body(service: Service, host: str) -> t.Dict[str, t.Any]:
    """Return what the agent is asked to register; ``host`` goes into the mark."""
    check = dict(service.check) if service.check else None
    own = mark.Mark(host, service.container, mark.digest(check))
    filled = {
        "ID": service.id,
        "Name": service.name,
        "Tags": list(service.tags),
        "Port": service.port,
        "Address": service.address,
        "Meta": {**service.meta, mark.KEY: own.text()},
        "Check": check,
    }
    return {key: value for key, value in filled.items() if value}


def entry_of(found: t.Mapping[str, t.Any]) -> Entry:
    """Read one service of the agent's answer."""
    meta = dict(found.get("Meta") or {})
    own = mark.read(meta)
    service = Service(
        id=found.get("ID") or "",
        name=found.get("Service") or "",
        address=found.get("Address") or "",
        port=found.get("Port") or 0,
        container=own.container if own else "",
        tags=tuple(found.get("Tags") or ()),
        meta=meta,
    )
    return Entry(service, _fingerprint({**found, "Name": service.name}), own.host if own else "")


def _fingerprint(found: t.Mapping[str, t.Any]) -> str:
    # The check is in the digest that the mark carries: the agent does not give checks back as they were written.
    fields = [found.get("Name") or "", found.get("Tags") or [], found.get("Port") or 0, found.get("Address") or "", found.get("Meta") or {}]
    return mark.digest(fields)
