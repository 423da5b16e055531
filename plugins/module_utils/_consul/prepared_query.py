# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Prepared queries, by their names: what is declared is judged, compared with what Consul has, and told.

Consul keeps nothing with a query that could say whose it is. So only queries that are named here are ever looked at.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul import declared
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, LeaderlessError, done, wait_until
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client
from ansible_collections.discovery.consul.plugins.module_utils._consul.declared import Judgement, is_duration, is_meta, is_text, is_texts

Json = t.Dict[str, t.Any]

PATH = "/v1/query"
RIGHT = "query:write on its name"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?")
_DATACENTER = re.compile(r"[A-Za-z0-9_-]{1,128}")

# A captured token, a session and a template are never declared, and never shown.
NEVER = ("Session", "Template", "Token")

QUERY_OPTIONS: Json = {
    "name": {"type": "str", "required": True},
    "service": {"type": "str"},
    "tags": {"type": "list", "elements": "str", "default": []},
    "near": {"type": "str", "default": ""},
    "failover": {
        "type": "dict",
        "options": {"nearest_n": {"type": "int", "default": 0}, "datacenters": {"type": "list", "elements": "str", "default": []}},
    },
    "only_passing": {"type": "bool", "default": False},
    "node_meta": {"type": "dict", "default": {}},
    "service_meta": {"type": "dict", "default": {}},
    "ttl": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
}
QUERY_ARGUMENTS: Json = {"queries": {"type": "list", "elements": "dict", "required": True, "options": QUERY_OPTIONS}, "wait": {"type": "float", "default": 60}}

RULES: dict[str, tuple[Judgement, str]] = {
    "service": (is_text, "the name of a service"),
    "tags": (is_texts, "a list of tags; one that must not be there begins with '!'"),
    "near": (lambda value: value == "" or is_text(value), "the name of a node, or _agent or _ip"),
    "node_meta": (is_meta, "keys of letters, digits, dashes and underscores, with texts"),
    "service_meta": (is_meta, "keys of letters, digits, dashes and underscores, with texts"),
    "ttl": (lambda value: value == "" or is_duration(value), "a duration, like 10s"),
}


class QueryError(ApiError):
    """Queries that cannot be; the text says why."""


def problems(queries: t.Sequence[Json]) -> t.Iterator[str]:
    """One sentence for each thing that Consul would refuse, or that contradicts another one. The types have been judged before."""
    names: set[str] = set()
    for one in queries:
        name, label = one["name"], f"The prepared query {declared.shown(one['name'])}"
        if not _NAME.fullmatch(name):
            yield f"{label} has no name that DNS could ask for. It may have up to 128 letters, digits, dots, dashes and underscores."
        if name.lower() in names:
            yield f"{label} is declared twice. Names differ in more than the case of letters."
        names.add(name.lower())
        if one.get("state") == "absent":
            continue
        if not one.get("service"):
            yield f"{label} names no service. Say which one it finds."
        for key, (judge, words) in RULES.items():
            if one.get(key) is not None and not judge(one[key]):
                yield declared.wrong_value(label, key, one[key], words)
        failover = one.get("failover") or {}
        if (failover.get("nearest_n") or 0) < 0:
            yield declared.wrong_value(label, "failover.nearest_n", failover["nearest_n"], "a number of datacenters")
        for datacenter in failover.get("datacenters") or []:
            if not _DATACENTER.fullmatch(datacenter):
                yield declared.wrong_value(label, "failover.datacenters", datacenter, "names of datacenters")


def converge(client: Client, options: Json, check_mode: bool) -> Json:
    """Bring the queries to what is declared, or only predict that."""
    wrong = list(problems(options["queries"]))
    if wrong:
        raise QueryError(" ".join(wrong))
    existing: dict[str, Json] = {}

    def listed() -> bool:
        try:
            answer = done(client, lambda: client.get(PATH), "list its prepared queries", "query:read on them")
        except LeaderlessError:
            return False
        existing.update({one["Name"].lower(): one for one in answer.data or [] if one.get("Name")})
        return True

    if not wait_until(listed, options["wait"]):
        raise LeaderlessError(f"Consul did not list its prepared queries within {options['wait']:g} s: there is no leader. Bring the servers back first.")
    changes: list[Json] = []
    before: Json = {}
    after: Json = {}
    for one in options["queries"]:
        held = existing.get(one["name"].lower())
        wanted = None if one["state"] == "absent" else body(one)
        now = seen(held) if held else None
        if now == wanted:
            continue
        action = "delete" if wanted is None else "update" if held else "create"
        changes.append({"action": action, "name": one["name"]})
        before.update({one["name"]: now} if now else {})
        after.update({one["name"]: wanted} if wanted else {})
        if not check_mode:
            _apply(client, action, one["name"], wanted, (held or {}).get("ID", ""))
    return {"changed": bool(changes), "changes": changes, "diff": {"before": before, "after": after}}


def body(one: Json) -> Json:
    """What Consul is told."""
    failover = one.get("failover") or {}
    return {
        "Name": one["name"],
        "Service": {
            "Service": one["service"],
            "Failover": {"NearestN": failover.get("nearest_n") or 0, "Datacenters": failover.get("datacenters") or []},
            "OnlyPassing": bool(one.get("only_passing")),
            "Near": one.get("near") or "",
            "Tags": sorted(one.get("tags") or []),
            "NodeMeta": one.get("node_meta") or {},
            "ServiceMeta": one.get("service_meta") or {},
        },
        "DNS": {"TTL": one.get("ttl") or ""},
    }


def seen(held: Json) -> Json:
    """What Consul has, in the shape of `body`. What is never declared is only said to be there, as a token must not be shown."""
    service = held.get("Service") or {}
    failover = service.get("Failover") or {}
    found = body(
        {
            "name": held["Name"],
            "service": service.get("Service") or "",
            "failover": {"nearest_n": failover.get("NearestN"), "datacenters": failover.get("Datacenters")},
            "only_passing": service.get("OnlyPassing"),
            "near": service.get("Near"),
            "tags": service.get("Tags"),
            "node_meta": service.get("NodeMeta"),
            "service_meta": service.get("ServiceMeta"),
            "ttl": (held.get("DNS") or {}).get("TTL"),
        }
    )
    for key in NEVER:
        value = held.get(key)
        if value and (key != "Template" or value.get("Type")):
            found[key] = "(there is one)"
    extra = {key: service[key] for key in ("Connect", "IgnoreCheckIDs", "Peer", "SamenessGroup") if service.get(key)}
    if failover.get("Targets"):
        extra["Targets"] = "(there are some)"
    return {**found, **extra}


def _apply(client: Client, action: str, name: str, wanted: Json | None, ident: str) -> None:
    what = f"{action} the prepared query {name}"
    if action == "delete":
        done(client, lambda: client.delete(f"{PATH}/{ident}"), what, RIGHT)
    elif action == "update":
        done(client, lambda: client.put(f"{PATH}/{ident}", json.dumps(wanted)), what, RIGHT)
    else:
        done(client, lambda: client.post(PATH, json.dumps(wanted)), what, RIGHT)
