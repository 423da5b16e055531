# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The calls that bring policies, roles and tokens to what is declared. Everything is read first, so a run that was interrupted does what is left."""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_data import PLURAL, POLICY, ROLE, TOKEN, Entry, body, declared
from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_plan import CREATE, DELETE, Change, Existing, Plan, plan, shown
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, LeaderlessError, done
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client

Json = t.Dict[str, t.Any]

RIGHT = "acl:write"
PAUSE = 0.5

PASSING = ("in legacy mode", "ACL not found", "already in use", "already exists", "already being used")
"""What passes by itself. A server that has just started calls its ACL system a legacy one until it looks at the leader's, which can take up
to 30 s, and does not know the management token until a leader has made it. The others say that somebody else was faster."""

UNKNOWN = "not found"
"""What an answer says of an id or a secret that is not there."""


def converge(client: Client, options: Json, check_mode: bool) -> Json:
    """Bring the rights to what the options declare, or only predict that."""
    entries = declared(options, secrets_needed=not check_mode)
    deadline = time.monotonic() + options["wait"]
    first: Plan | None = None
    while True:
        try:
            found = plan(entries, read(client, entries), options["owner"], options["purge"], options["purge_superseded"])
            first = first or found
            if not check_mode:
                for change in found.changes:
                    _apply(client, change)
            return _result(first, found)
        except ApiError as exc:
            passes = isinstance(exc, LeaderlessError) or any(words in str(exc) for words in PASSING)
            if not passes or time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE)


def read(client: Client, entries: t.Sequence[Entry]) -> Existing:
    """What Consul has of all this: three lists, the rules of declared policies, and the tokens whose accessors somebody else chose."""
    policies, roles, tokens = (_listed(client, kind) for kind in (POLICY, ROLE, TOKEN))
    wanted = {one.name for one in entries if one.kind == POLICY}
    policies = {ident: _with_rules(client, ident, data) if data.get("Name") in wanted else data for ident, data in policies.items()}
    asked = [one.secret for one in entries if one.kind == TOKEN and one.secret and one.accessor not in tokens]
    secrets = {secret: accessor for secret in asked if (accessor := _accessor(client.with_token(secret))) in tokens}
    return Existing({POLICY: policies, ROLE: roles, TOKEN: tokens}, secrets, _accessor(client) if asked else "")


def _with_rules(client: Client, ident: str, data: Json) -> Json:
    """The whole policy: the list leaves its rules out. One that has gone in between has none."""
    answer = done(client, lambda: client.get(f"/v1/acl/policy/{ident}"), f"show the policy {data['Name']}", RIGHT)
    return answer.data or data


def _listed(client: Client, kind: str) -> dict[str, Json]:
    listed = done(client, lambda: client.get(f"/v1/acl/{PLURAL[kind]}"), f"list the {PLURAL[kind]}", RIGHT).data or []
    return {one["AccessorID" if kind == TOKEN else "ID"]: one for one in listed}


def _accessor(client: Client) -> str:
    """The accessor of the token that the client brings; an empty text where Consul does not know that token."""
    answer = done(client, lambda: client.get("/v1/acl/token/self"), "look up a token by its secret", RIGHT, good=(200, 403, 404))
    return str(answer.data.get("AccessorID", "")) if answer.good else ""


def _apply(client: Client, change: Change) -> None:
    what = f"{change.action} the {change.kind} {change.name}"
    path = f"/v1/acl/{change.kind}"
    if change.action == DELETE:
        answer = done(client, lambda: client.delete(f"{path}/{change.ident}"), what, RIGHT, good=(200, 403, 404, 500))
        if not answer.good and UNKNOWN not in str(answer.data):
            done(client, lambda: answer, what, RIGHT)
        return
    told = body(change.kind, change.name, change.after or {})
    if change.kind == TOKEN:
        told |= {"AccessorID": change.ident, "Local": change.local, **({"SecretID": change.secret} if change.action == CREATE else {})}
    where = path if change.action == CREATE else f"{path}/{change.ident}"
    done(client, lambda: client.put(where, json.dumps(told)), what, RIGHT)


def _result(first: Plan, last: Plan) -> Json:
    changes = [{"action": one.action, "kind": one.kind, "name": one.name} for one in first.changes]
    return {"changed": bool(changes), "changes": changes, "diff": shown(first.changes), "accessors": last.accessors, "superseded": last.superseded}
