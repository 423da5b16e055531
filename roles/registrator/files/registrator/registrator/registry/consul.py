# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in a Consul agent, with its health checks (schemes ``consul``, ``consul-unix`` and ``consul-tls``)."""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
from dataclasses import replace

from .. import mark
from ..checks import SCRIPT_FIELD
from ..service import Found, Service
from . import Context, Registry, RegistryError
from .consul_http import ConsulHttp, NotThere
from .http import json_of, quoted

MAINTENANCE = "_service_maintenance:"
REASON = "registrator: "
NO_SCRIPTS = "Scripts are disabled"


class Consul(Registry):
    """See ``Registry`` for what the methods promise. A location is a service's id."""

    def __init__(self, context: Context) -> None:
        self._http = ConsulHttp(context, context.uri.netloc + context.uri.path)
        self._owner, self._ttl = context.owner.text, context.options.health_ttl
        self._last: t.Tuple[int, t.Dict[str, Found]] = (0, {})
        self._lock = threading.Lock()

    def ping(self) -> str:
        return f"consul: current leader  {self._http.leader()}"

    def location(self, service: Service) -> str:
        return service.id

    def register(self, service: Service) -> str:
        written = body(service, self._owner, self._ttl)
        try:
            self._register(service, written)
        except RegistryError as error:
            if NO_SCRIPTS not in str(error) or SCRIPT_FIELD not in (service.check or {}):
                raise
            # The mark stays that of the service with its check: without it, it would look changed for ever.
            self._register(service, {key: value for key, value in written.items() if key != "Check"})
            return "its check is a script, and the agent runs none: registered without it"
        return ""

    def _register(self, service: Service, written: t.Mapping[str, t.Any]) -> None:
        # Without replacing, a check that the service no longer has would stay.
        path = "/v1/agent/service/register?replace-existing-checks=true"
        self._http.request("PUT", path, right=f"service:write on {service.name}", data=json.dumps(written))

    def deregister(self, location: str, name: str) -> None:
        with contextlib.suppress(NotThere):
            self._http.request("PUT", f"/v1/agent/service/deregister/{quoted(location)}", right=f"service:write on {name}")

    def registered(self) -> t.Mapping[str, Found]:
        answer = self._http.request("GET", "/v1/agent/services")
        # The agent sorts its answer, so equal bytes mean that nothing changed, and nothing needs to be read again.
        digest = hash(answer.content)
        with self._lock:
            if digest != self._last[0]:
                self._last = digest, {service_id: found_of(found) for service_id, found in json_of(answer, dict).items() if isinstance(found, dict)}
            return self._last[1]

    def may_have_restarted(self) -> bool:
        return self._http.is_hung_up()

    def find(self, location: str) -> t.Optional[Found]:
        answer = self._http.request("GET", f"/v1/agent/service/{quoted(location)}")
        return found_of(json_of(answer, dict)) if answer.status_code == 200 else None

    def fingerprint(self, service: Service) -> str:
        return _fingerprint(body(service, self._owner, self._ttl))

    def report(self, service: Service) -> None:
        if service.health:
            told = {"Status": service.health.status, "Output": service.health.output}
            path = f"/v1/agent/check/update/{quoted(_health_check_id(service))}"
            self._http.request("PUT", path, right=f"service:write on {service.name}", data=json.dumps(told))

    def set_ttl(self, seconds: int) -> None:
        self._ttl = seconds

    def maintain(self, service: Service, reason: str) -> None:
        self._maintenance(service.id, {"enable": "true", "reason": REASON + reason})

    def end_maintenance(self, locations: t.Container[str]) -> None:
        answer = self._http.request("GET", "/v1/agent/checks")
        for check in json_of(answer, dict).values() if answer.status_code == 200 else ():
            is_ours = str(check.get("CheckID")).startswith(MAINTENANCE) and str(check.get("Notes")).startswith(REASON)
            if is_ours and check.get("ServiceID") in locations:
                self._maintenance(check["ServiceID"], {"enable": "false"})

    def _maintenance(self, service_id: str, query: t.Mapping[str, str]) -> None:
        # What is not there needs no maintenance, nor its end.
        with contextlib.suppress(NotThere):
            self._http.request("PUT", f"/v1/agent/service/maintenance/{quoted(service_id)}", params=query)


def body(service: Service, owner: str, health_ttl: int) -> t.Dict[str, t.Any]:
    """Return what the agent is asked to register; ``owner`` goes into the mark, ``health_ttl`` is in seconds."""
    check = dict(service.check) if service.check else None
    not_given_back = [check, health_ttl] if service.health else check
    own = mark.Mark(owner, service.container, mark.digest(not_given_back))
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


def found_of(told: t.Mapping[str, t.Any]) -> Found:
    """Read one service of the agent's answer."""
    own = mark.read(told.get("Meta"))
    name = str(told.get("Service") or "")
    fingerprint = _fingerprint({**told, "Name": name})
    if own:
        return Found(name, fingerprint, own.owner, own.container)
    plain = replace(NOTHING, address=str(told.get("Address") or ""), port=told.get("Port") or 0)
    return Found(name, fingerprint, id=str(told.get("ID") or ""), endpoint=plain.endpoint)


NOTHING = Service("", "", "", 0, "")


def _fingerprint(told: t.Mapping[str, t.Any]) -> str:
    # The check is in the digest that the mark carries: the agent does not give checks back as they were written.
    fields = [told.get("Name") or "", told.get("Tags") or [], told.get("Port") or 0, told.get("Address") or "", told.get("Meta") or {}]
    return mark.digest(fields)
