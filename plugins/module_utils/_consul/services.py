# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The instances of services, with how healthy they are, as plugins and modules read them."""

from __future__ import annotations

import typing as t
from contextlib import contextmanager
from dataclasses import dataclass

from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, Asks, done
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import segment

Json = t.Dict[str, t.Any]

PASSING = "passing"
WORST_FIRST = ("maintenance", "critical", "warning", PASSING)


@dataclass(frozen=True)
class Found:
    """What Consul knows of a service: all instances that were asked for, and those that pass."""

    service: str
    tags: t.Sequence[str]
    registered: t.List[Json]

    @property
    def passing(self) -> list[Json]:
        return [one for one in self.registered if one["status"] == PASSING]

    @property
    def trouble(self) -> str:
        """Why nothing of it can be called, in a sentence. Consul does not tell what a token may not see from what is not there."""
        what = f"`{self.service}`" + (f" with the tags {', '.join(self.tags)}" if self.tags else "")
        if not self.registered:
            return f"Consul shows no instance of {what}: none is registered, or the token lacks service:read on it or node:read on its nodes."
        states = ", ".join(f"{one['id']} on {one['node']} is {one['status']}" for one in self.registered[:5])
        return f"No instance of {what} is passing: {states}{', and more' if len(self.registered) > 5 else ''}."


def find(client: Asks, name: str, tags: t.Sequence[str] = (), datacenters: t.Sequence[str] = ()) -> Found:
    """The instances that have all of these tags: one question for each datacenter, none for their number."""
    if not name:
        raise ApiError("The name of a service is empty.")
    found: list[Json] = []
    for datacenter in datacenters or ("",):
        rows = read(client, f"/v1/health/service/{segment(name)}", f"tell of the service `{name}`", "service:read and node:read", dc=datacenter)
        with as_documented(f"/v1/health/service/{name}"):
            found += sorted((instance(row) for row in rows), key=lambda one: (one["node"], one["id"]))
    return Found(name, tags, [one for one in found if set(tags) <= set(one["tags"])])


def read(client: Asks, path: str, what: str, right: str, kind: type = list, **params: str) -> t.Any:
    """What Consul answers, as the kind of data that it is to be, and all of it."""
    answer: Answer = done(client, lambda: client.get(path, **params), what + (f" in the datacenter {params['dc']}" if params.get("dc") else ""), right)
    if not isinstance(answer.data, kind):
        raise ApiError(f"{answer.url} is not answered as Consul does. Is it the URL of an agent?")
    if answer.filtered:
        raise ApiError(f"Consul did not {what} in full: its answer is filtered by ACLs. Give a token with {right} on all that is asked for.")
    return answer.data


@contextmanager
def as_documented(path: str) -> t.Iterator[None]:
    """Say it when an answer has not the fields that Consul documents."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ApiError(f"{path} is not answered as Consul documents it ({type(exc).__name__}: {exc}). Is it the URL of an agent?") from exc


def instance(row: Json) -> Json:
    """One instance; a missing address is that of its node."""
    service, node = row["Service"], row["Node"]
    return {
        "service": service["Service"],
        "id": service["ID"],
        "address": service.get("Address") or node["Address"],
        "port": service.get("Port") or 0,
        "tags": list(service.get("Tags") or []),
        "meta": dict(service.get("Meta") or {}),
        "node": node["Node"],
        "datacenter": node.get("Datacenter") or "",
        "status": status(row.get("Checks") or []),
    }


def status(checks: t.Iterable[Json]) -> str:
    """The worst of its checks; maintenance is worse than all. Without a check it passes."""
    found = {"maintenance" if str(check.get("CheckID")).startswith(("_node_maintenance", "_service_maintenance")) else check["Status"] for check in checks}
    return next((one for one in WORST_FIRST if one in found), PASSING)


def url(one: Json, scheme: str) -> str:
    """Where an instance is called."""
    address = f"[{one['address']}]" if ":" in one["address"] else one["address"]
    return f"{scheme}://{address}:{one['port']}" if one["port"] else f"{scheme}://{address}"
