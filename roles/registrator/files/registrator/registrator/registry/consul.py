# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in a Consul agent, with its health checks (schemes ``consul``, ``consul-unix`` and ``consul-tls``)."""

from __future__ import annotations

import json
import threading
import typing as t

from .. import mark
from ..service import Entry, Service
from . import Context, Registry
from .consul_http import ConsulHttp, quoted

MAINTENANCE = "_service_maintenance:"
REASON = "registrator: "


class Consul(Registry):
    """See ``Registry`` for what the methods promise."""

    def __init__(self, context: Context) -> None:
        self._http = ConsulHttp(context, context.uri.netloc + context.uri.path)
        self._host, self._ttl = context.host, context.options.health_ttl
        self._last: t.Tuple[int, t.Dict[str, Entry]] = (0, {})
        self._lock = threading.Lock()

    def ping(self) -> str:
        return f"consul: current leader  {self._http.request('GET', '/v1/status/leader').json()}"

    def register(self, service: Service) -> None:
        # Without replacing, a check that the service no longer has would stay.
        path = "/v1/agent/service/register?replace-existing-checks=true"
        self._http.request("PUT", path, right=f"service:write on {service.name}", data=json.dumps(body(service, self._host, self._ttl)))

    def deregister(self, service: Service) -> None:
        self._http.request("PUT", f"/v1/agent/service/deregister/{quoted(service.id)}", right=f"service:write on {service.name}")

    def registered(self) -> t.Mapping[str, Entry]:
        raw = self._http.request("GET", "/v1/agent/services").content
        # The agent sorts its answer, so equal bytes mean that nothing changed, and nothing needs to be read again.
        digest = hash(raw)
        with self._lock:
            if digest != self._last[0]:
                self._last = digest, {service_id: entry_of(found) for service_id, found in json.loads(raw).items()}
            return self._last[1]

    def fingerprint(self, service: Service) -> str:
        return _fingerprint(body(service, self._host, self._ttl))

    def report(self, service: Service) -> None:
        if service.health:
            told = {"Status": service.health.status, "Output": service.health.output}
            path = f"/v1/agent/check/update/{quoted(_health_check_id(service))}"
            self._http.request("PUT", path, right=f"service:write on {service.name}", data=json.dumps(told))

    def maintain(self, service: Service, reason: str) -> None:
        self._maintenance(service.id, {"enable": "true", "reason": REASON + reason})

    def end_maintenance(self, service_ids: t.Container[str]) -> None:
        answer = self._http.request("GET", "/v1/agent/checks")
        for check in (answer.json() if answer.status_code == 200 else {}).values():
            is_ours = check["CheckID"].startswith(MAINTENANCE) and str(check.get("Notes")).startswith(REASON)
            if is_ours and check["ServiceID"] in service_ids:
                self._maintenance(check["ServiceID"], {"enable": "false"})

    def _maintenance(self, service_id: str, query: t.Mapping[str, str]) -> None:
        self._http.request("PUT", f"/v1/agent/service/maintenance/{quoted(service_id)}", params=query)


def body(service: Service, host: str, health_ttl: int) -> t.Dict[str, t.Any]:
    """Return what the agent is asked to register; ``host`` goes into the mark, ``health_ttl`` is in seconds."""
    check = dict(service.check) if service.check else None
    not_given_back = [check, health_ttl] if service.health else check
    own = mark.Mark(host, service.container, mark.digest(not_given_back))
    filled = {
        "ID": service.id,
        "Name": service.name,
        "Tags": list(service.tags),
        "Port": service.port,
        "Address": service.address,
        "Meta": {**service.meta, mark.KEY: own.text()},
        "Check": check,
        "Checks": [_health_check(service, health_ttl)] if service.health else None,
    }
    return {key: value for key, value in filled.items() if value}


def _health_check_id(service: Service) -> str:
    return f"docker:{service.id}"


def _health_check(service: Service, ttl: int) -> t.Dict[str, t.Any]:
    status = service.health.status if service.health else "critical"
    return {"CheckID": _health_check_id(service), "Name": "Docker health", "TTL": f"{ttl}s", "Status": status}


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
