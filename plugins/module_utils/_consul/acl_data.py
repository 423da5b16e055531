# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What is declared of rights: policies, roles and tokens, each with an owner that its mark in Consul names.

A mark ends a description, so that Consul itself keeps what belongs to whom: `What DNS answers [discovery.consul: dns of dc1.cluster]`.
"""

from __future__ import annotations

import re
import typing as t
import uuid
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

POLICY, ROLE, TOKEN = "policy", "role", "token"
KINDS = (POLICY, ROLE, TOKEN)
PLURAL = {POLICY: "policies", ROLE: "roles", TOKEN: "tokens"}

_NAMES = {
    POLICY: (re.compile(r"[A-Za-z0-9_-]{1,128}"), "up to 128 letters, digits, dashes and underscores"),
    ROLE: (re.compile(r"[A-Za-z0-9_-]{1,256}"), "up to 256 letters, digits, dashes and underscores"),
    TOKEN: (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), "letters, digits, dots, dashes and underscores, and begin with a letter or a digit"),
}
_MARK = re.compile(r" ?\[discovery\.consul: ([A-Za-z0-9._-]+) of ([A-Za-z0-9._-]+)\]$")
_ACCESSORS = uuid.UUID("6fd9f4ee-3fd2-5b0f-8a35-5fd5fbd1ce5f")
"""Any UUID will do, as long as it stays the same."""


class AclError(OperatorError):
    """Rights that cannot be given; the text says why."""


@dataclass(frozen=True)
class Entry:
    """One policy, role or token as it is declared. `shape` is what is compared with Consul's, without names and secrets."""

    kind: str
    name: str
    owner: str
    present: bool
    shape: Json
    secret: str = field(default="", repr=False)

    @property
    def accessor(self) -> str:
        """The accessor of a token. Another secret makes another one, since Consul never changes the secret of a token."""
        return str(uuid.uuid5(_ACCESSORS, f"{self.name}\n{self.secret.lower()}"))


def mark(name: str, owner: str) -> str:
    return f"[discovery.consul: {name} of {owner}]"


def marked(description: t.Any) -> tuple[str, str]:
    """Name and owner in the mark of a description; two empty texts where it has none."""
    found = _MARK.search(str(description or ""))
    return (found[1], found[2]) if found else ("", "")


def declared(options: Json, secrets_needed: bool) -> list[Entry]:
    """The entries of the options, or an error with everything that is wrong with them."""
    found = [_entry(kind, raw, options["owner"]) for kind in KINDS for raw in options[PLURAL[kind]]]
    wrong = list(problems(found))
    if secrets_needed:
        wrong += [f"The token {one.name} has no secret." for one in found if one.kind == TOKEN and one.present and not one.secret]
    if wrong:
        raise AclError(" ".join(wrong))
    return found


def problems(entries: t.Iterable[Entry]) -> t.Iterator[str]:
    """One sentence for each thing that Consul would refuse, or that contradicts another one."""
    names: set[tuple[str, str]] = set()
    secrets: dict[str, str] = {}
    for one in entries:
        pattern, words = _NAMES[one.kind]
        if not pattern.fullmatch(one.name):
            yield f"'{one.name}' is no name of a {one.kind}. It may have {words}."
        if not _NAMES[TOKEN][0].fullmatch(one.owner):
            yield f"'{one.owner}' is no name of an owner. It may have {_NAMES[TOKEN][1]}."
        if (one.kind, one.name) in names:
            yield f"The {one.kind} {one.name} is declared twice."
        names.add((one.kind, one.name))
        if not one.secret:
            continue
        if not _is_uuid(one.secret):
            yield f"The secret of the token {one.name} is no UUID, and Consul takes no other one. Make one with `uuidgen`."
        other = secrets.setdefault(one.secret.lower(), one.name)
        if other != one.name:
            yield f"The tokens {other} and {one.name} have the same secret. Give each its own."


def _entry(kind: str, raw: Json, owner: str) -> Entry:
    own = raw.get("owner") or owner
    description = f"{(raw.get('description') or '').strip()} {mark(raw['name'], own)}".strip()
    shape: Json = {"description": description, **(_rules(raw) if kind == POLICY else _links(kind, raw))}
    return Entry(kind, raw["name"], own, raw.get("state") != "absent", shape, (raw.get("secret") or "").strip())


def _rules(raw: Json) -> Json:
    return {"rules": (raw.get("rules") or "").strip(), "datacenters": sorted(raw.get("datacenters") or [])}


def _links(kind: str, raw: Json) -> Json:
    services = [{"service_name": one["service_name"], "datacenters": sorted(one.get("datacenters") or [])} for one in raw.get("service_identities") or []]
    nodes = [{"node_name": one["node_name"], "datacenter": one["datacenter"]} for one in raw.get("node_identities") or []]
    return {
        "policies": sorted(raw.get("policies") or []),
        **({"roles": sorted(raw.get("roles") or [])} if kind == TOKEN else {}),
        "service_identities": sorted(services, key=lambda one: (one["service_name"], one["datacenters"])),
        "node_identities": sorted(nodes, key=lambda one: (one["node_name"], one["datacenter"])),
    }


def seen(kind: str, data: Json) -> Json:
    """The shape of what Consul has."""
    if kind == POLICY:
        raw: Json = {"rules": data.get("Rules"), "datacenters": data.get("Datacenters")}
    else:
        raw = {
            "policies": [one["Name"] for one in data.get("Policies") or []],
            "roles": [one["Name"] for one in data.get("Roles") or []],
            "service_identities": [{"service_name": one["ServiceName"], "datacenters": one.get("Datacenters")} for one in data.get("ServiceIdentities") or []],
            "node_identities": [{"node_name": one["NodeName"], "datacenter": one["Datacenter"]} for one in data.get("NodeIdentities") or []],
        }
    return {"description": data.get("Description") or "", **(_rules(raw) if kind == POLICY else _links(kind, raw))}


def body(kind: str, name: str, shape: Json) -> Json:
    """What Consul is told, without ids and secrets."""
    if kind == POLICY:
        return {"Name": name, "Description": shape["description"], "Rules": shape["rules"], "Datacenters": shape["datacenters"]}
    return {
        **({"Name": name} if kind == ROLE else {"Roles": [{"Name": one} for one in shape["roles"]]}),
        "Description": shape["description"],
        "Policies": [{"Name": one} for one in shape["policies"]],
        "ServiceIdentities": [{"ServiceName": one["service_name"], "Datacenters": one["datacenters"]} for one in shape["service_identities"]],
        "NodeIdentities": [{"NodeName": one["node_name"], "Datacenter": one["datacenter"]} for one in shape["node_identities"]],
    }


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None
