# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The nodes of Consul's catalog with their services. Calls grow with datacenters and with services, never with nodes."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, Asks
from ansible_collections.discovery.consul.plugins.module_utils._consul.services import PASSING, as_documented, find, read, status

Json = t.Dict[str, t.Any]

ALL = "*"
# A node that is joining is a member some moments before it is in the catalog.
PATIENCE = 5


@dataclass(frozen=True)
class Question:
    """What an inventory asks for."""

    datacenters: t.Sequence[str] = ()
    filter: str = ""
    node_meta: t.Mapping[str, str] | None = None
    services: t.Sequence[str] = ()
    passing_only: bool = False
    compare_members: bool = True


@dataclass(frozen=True)
class Nodes:
    """`found` has name, address, datacenter, meta and services of each node; `unseen` are services without an instance."""

    found: t.List[Json]
    unseen: t.List[str]


def nodes(client: Asks, question: Question, patience: float = PATIENCE) -> Nodes:
    """All nodes that were asked for."""
    if question.compare_members:
        compare(client, patience)
    found: list[Json] = []
    unseen: list[str] = []
    for datacenter in question.datacenters or ("",):
        own, missing = _datacenter(client, question, datacenter)
        found += own
        unseen += missing
    return Nodes(found, sorted(set(unseen)))


def compare(client: Asks, patience: float = PATIENCE) -> None:
    """Refuse a catalog in which members of the agent's datacenter are missing: Consul leaves out silently what a token may not read."""
    end = time.monotonic() + patience
    while True:
        own = read(client, "/v1/agent/self", "tell how many members its datacenter has", "agent:read", dict)
        with as_documented("/v1/agent/self"):
            lan = own["Stats"]["serf_lan"]
            # Who has left is a member for days, and in no catalog.
            members = int(lan["members"]) - int(lan["left"])
        seen = len({check["Node"] for check in _node_checks(client, "") if check["CheckID"] == "serfHealth"})
        if seen >= members:
            return
        if time.monotonic() >= end:
            raise ApiError(
                f"Consul shows {seen} of the {members} members of its datacenter, since it leaves out silently what a token may not read."
                " Give a token with node:read on all nodes, or set compare_members to false when it is to see some only."
            )
        time.sleep(min(1, patience / 5))


def _datacenter(client: Asks, question: Question, datacenter: str) -> tuple[list[Json], list[str]]:
    params: Json = {"dc": datacenter}
    filters = [f"({question.filter})"] if question.filter else []
    filters += [f"Meta[{_quoted(key)}] == {_quoted(value)}" for key, value in (question.node_meta or {}).items()]
    rows = read(client, "/v1/catalog/nodes", "list its nodes", "node:read", filter=" and ".join(filters), **params)
    with as_documented("/v1/catalog/nodes"):
        found = {row["Node"]: _node(row) for row in rows}
    if question.passing_only:
        checks: dict[str, list[Json]] = {}
        for check in _node_checks(client, datacenter):
            checks.setdefault(check["Node"], []).append(check)
        found = {name: node for name, node in found.items() if status(checks.get(name, [])) == PASSING}
    every = ALL in question.services
    names = sorted(read(client, "/v1/catalog/services", "list its services", "service:read", dict, **params)) if every else question.services
    unseen = []
    for name in names:
        service = find(client, name, datacenters=[datacenter])
        if not service.registered:
            unseen.append(name)
        for one in service.passing if question.passing_only else service.registered:
            if one["node"] in found:
                found[one["node"]]["services"].setdefault(name, []).append(one)
    return [node for node in found.values() if node["services"] or every or not names], unseen


def _node_checks(client: Asks, datacenter: str) -> list[Json]:
    """The checks of nodes, without those of services."""
    checks = read(client, "/v1/health/state/any", "tell of its nodes' health", "node:read", filter='ServiceID == ""', dc=datacenter)
    with as_documented("/v1/health/state/any"):
        return [{key: str(check[key]) for key in ("Node", "CheckID", "Status")} for check in checks if not check["ServiceID"]]


def _node(row: Json) -> Json:
    return {
        "name": row["Node"],
        "address": row["Address"],
        "datacenter": row.get("Datacenter") or "",
        "meta": dict(row.get("Meta") or {}),
        "services": {},
    }


def _quoted(text: str) -> str:
    """A text in Consul's language for filters, which has no escapes: what holds both kinds of quotes cannot be said in it."""
    for quote in '"', "`":
        if quote not in text and "\\" not in text:
            return f"{quote}{text}{quote}"
    raise ApiError(f"Node metadata cannot be asked for {text!r}: Consul's filters cannot hold it.")
