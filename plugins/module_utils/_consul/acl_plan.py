# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From what is declared and what Consul has to what changes. Nothing here asks or tells Consul anything."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_data import (
    KINDS,
    PLURAL,
    POLICY,
    ROLE,
    TOKEN,
    AclError,
    Entry,
    marked,
    seen,
)

Json = t.Dict[str, t.Any]

CREATE, UPDATE, DELETE = "create", "update", "delete"


@dataclass(frozen=True)
class Existing:
    """What Consul has: by kind and by id. `secrets` has the id of the token for each secret that was asked for and is known."""

    objects: t.Mapping[str, t.Mapping[str, Json]]
    secrets: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    caller: str = ""
    """The accessor of the token that all this is done with."""

    def named(self, kind: str, name: str) -> str:
        return next((ident for ident, data in self.objects[kind].items() if data.get("Name") == name), "")

    def owned(self, kind: str, owner: str, name: str = "") -> list[str]:
        """The ids of what bears the mark of the owner."""
        marks = {ident: marked(data.get("Description")) for ident, data in self.objects[kind].items()}
        return [ident for ident, (its_name, its_owner) in marks.items() if its_owner == owner and name in ("", its_name)]


@dataclass(frozen=True)
class Change:
    action: str
    kind: str
    name: str
    ident: str
    before: Json | None
    after: Json | None
    secret: str = field(default="", repr=False)
    local: bool = False
    """Whether a token is known in its datacenter alone, which never changes."""


@dataclass(frozen=True)
class Plan:
    changes: list[Change]
    accessors: dict[str, str]
    """By the name of each declared token."""
    superseded: list[str]
    """Accessors of tokens with a former secret, which go when their owner is purged."""


def plan(entries: t.Sequence[Entry], existing: Existing, owner: str, purge: bool = False, purge_superseded: bool = False) -> Plan:
    """What to do, in the order in which it can be done: rights before who has them, and the other way round when they go."""
    found = {(one.kind, one.name): _existing_id(one, existing) for one in entries}
    _refuse_strangers(entries, existing, found)
    kept = [_keep(one, existing, found[one.kind, one.name]) for one in entries if one.present]
    keep_ids = {change.ident for change in kept if change.ident}
    doomed: dict[str, dict[str, None]] = {kind: {} for kind in KINDS}
    for one in entries:
        if not one.present:
            marks = existing.owned(TOKEN, one.owner, one.name) if one.kind == TOKEN else []
            doomed[one.kind].update(dict.fromkeys(ident for ident in (found[one.kind, one.name], *marks) if ident))
    for kind in KINDS if purge else ():
        doomed[kind].update(dict.fromkeys(existing.owned(kind, owner)))
    former = [ident for one in entries if one.present and one.kind == TOKEN for ident in existing.owned(TOKEN, one.owner, one.name)]
    if purge_superseded:
        doomed[TOKEN].update(dict.fromkeys(former))
    deletions = [_deletion(kind, ident, existing) for kind in reversed(KINDS) for ident in doomed[kind] if ident not in keep_ids]
    _refuse_loose_ends(entries, existing, deletions)
    gone = {change.ident for change in deletions}
    return Plan(
        changes=[change for change in kept if change.before != change.after] + deletions,
        accessors={change.name: change.ident for change in kept if change.kind == TOKEN},
        superseded=sorted(set(former) - keep_ids - gone),
    )


def shown(changes: t.Iterable[Change]) -> Json:
    """A diff, without secrets. A token that goes is named with its accessor, as another one of its name may come."""
    before: Json = {}
    after: Json = {}
    for one in changes:
        key = f"{one.name} ({one.ident})" if one.kind == TOKEN and one.action == DELETE else one.name
        for side, shape in ((before, one.before), (after, one.after)):
            if shape is not None:
                side.setdefault(PLURAL[one.kind], {})[key] = shape
    return {"before": before, "after": after}


def _existing_id(one: Entry, existing: Existing) -> str:
    """Tokens are known by their accessor, or, where somebody else chose it, by their secret. All others are known by their name."""
    if one.kind != TOKEN:
        return existing.named(one.kind, one.name)
    if not one.secret:
        return ""
    return one.accessor if one.accessor in existing.objects[TOKEN] else existing.secrets.get(one.secret, "")


def _keep(one: Entry, existing: Existing, ident: str) -> Change:
    if ident:
        data = existing.objects[one.kind][ident]
        return Change(UPDATE, one.kind, one.name, ident, seen(one.kind, data), one.shape, one.secret, bool(data.get("Local")))
    return Change(CREATE, one.kind, one.name, one.accessor if one.kind == TOKEN and one.secret else "", None, one.shape, one.secret)


def _deletion(kind: str, ident: str, existing: Existing) -> Change:
    data = existing.objects[kind][ident]
    return Change(DELETE, kind, str(data.get("Name") or marked(data.get("Description"))[0] or "unnamed"), ident, seen(kind, data), None)


def _refuse_strangers(entries: t.Iterable[Entry], existing: Existing, found: t.Mapping[tuple[str, str], str]) -> None:
    wrong = []
    for one in entries:
        ident = found[one.kind, one.name]
        owner = marked(existing.objects[one.kind][ident].get("Description"))[1] if ident else ""
        if owner not in ("", one.owner):
            wrong.append(f"The {one.kind} {one.name} belongs to {owner}, and is declared for {one.owner}. Declare it there alone, or under another name.")
        if ident and one.kind == TOKEN and ident == existing.caller:
            wrong.append(f"The token {one.name} has the secret of the token that this is done with, which would lose its rights. Give it a secret of its own.")
    if wrong:
        raise AclError(" ".join(wrong))


def _refuse_loose_ends(entries: t.Sequence[Entry], existing: Existing, deletions: t.Sequence[Change]) -> None:
    """What names a policy or a role that will not be there would be refused halfway."""
    gone = {(change.kind, change.name) for change in deletions}
    wrong = []
    for kind in (POLICY, ROLE):
        there = {data.get("Name") for data in existing.objects[kind].values()} | {one.name for one in entries if one.kind == kind and one.present}
        there -= {name for its_kind, name in gone if its_kind == kind}
        for one in entries:
            missing = [name for name in one.shape.get(PLURAL[kind], []) if name not in there] if one.present else []
            wrong += [f"The {one.kind} {one.name} names the {kind} {name}, which neither is declared nor exists." for name in missing]
    if wrong:
        raise AclError(" ".join(wrong))
