# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Whether the catalog has the services that a node declares, and none that the node had before.

An agent tells the catalog by itself. It does so at once, and when the servers refuse it, again only after a minute or more.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul import declared
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, done, wait_until
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import segment

Json = t.Dict[str, t.Any]

# How long an agent may take that is not refused, before it is told to read its configuration again, or done without.
GRACE = 3.0


class Proof:
    """What is wanted of one node, and what was last seen of it through its own agent."""

    def __init__(self, client: Client, options: Json) -> None:
        self.client = client
        self.node: str = options["node"]
        self.wanted = {declared.service_id(one): declared.given(one) for one in options["services"]}
        self.former: list[str] = [one for one in options["former_services"] if one not in self.wanted]
        self.agent: dict[str, Json] = {}
        self.catalog: dict[str, Json] = {}

    def look(self) -> bool:
        """Ask the agent and the catalog; whether all is as it is wanted."""
        # The catalog first: what is there and not with the agent was taken away from the agent before.
        self.catalog = {one["ID"]: one for one in self._catalog()}
        answer = done(self.client, lambda: self.client.get("/v1/agent/services"), "tell which services the agent has", "service:read on them")
        self.agent = answer.data or {}
        return not self.missing() and not self.left()

    def missing(self) -> list[str]:
        """Declared services that the agent or the catalog has not, or not as they are declared."""
        return [ident for ident, one in self.wanted.items() if not (_is(self.agent.get(ident), one) and _is(self.catalog.get(ident), one))]

    def left(self) -> list[str]:
        """Services in the catalog that the agent has not any more, and former ones that it still has."""
        gone = [ident for ident in self.catalog if ident not in self.agent and ident not in (declared.OWN, *self.wanted)]
        return sorted({*gone, *(ident for ident in self.former if ident in self.agent)})

    def remove_left(self) -> None:
        """Consul before 1.15 takes a service out of the catalog with the service's own token, which may have lost its right by then."""
        for ident in self.left():
            if ident not in self.agent:
                told = json.dumps({"Node": self.node, "ServiceID": ident})
                done(
                    self.client,
                    lambda: self.client.put("/v1/catalog/deregister", told),  # noqa: B023
                    f"take the service {ident} out of the catalog",
                    f"node:write on {self.node}",
                )

    def trouble(self, wait: float) -> str:
        missing = self.missing()
        if not missing:
            return f"Services of {self.node} that are gone or not declared any more are still there after {wait:g} s: {', '.join(self.left())}. Run again."
        where = [
            f"{ident} ({'refused by the servers, or not told yet' if _is(self.agent.get(ident), self.wanted[ident]) else 'not read by the agent'})"
            for ident in missing
        ]
        return (
            f"The catalog has not these services of {self.node} as they are declared, after {wait:g} s: {', '.join(where)}. The agent's log says why: "
            "'blocked by ACLs' is a token without service:write on the name, and 'ACL not found' a token that does not exist. Run the play of the servers, "
            "which makes the tokens, without --tags."
        )

    def _catalog(self) -> list[Json]:
        path = f"/v1/catalog/node/{segment(self.node)}"
        answer = done(self.client, lambda: self.client.get(path), f"tell of the services of {self.node}", "node:read and service:read")
        return list(((answer.data or {}).get("Services") or {}).values())


def prove(client: Client, options: Json, check_mode: bool) -> Json:
    """Wait until it is so, and help where an agent cannot do it by itself."""
    proof = Proof(client, options)
    if check_mode:
        proof.look()
        return {"changed": bool(proof.missing() or proof.left()), "missing": proof.missing(), "left": proof.left()}
    if wait_until(proof.look, min(GRACE, options["wait"])):
        return {"changed": False, "missing": [], "left": []}
    missing, left = proof.missing(), proof.left()
    if missing and options["reload"]:
        done(client, lambda: client.put("/v1/agent/reload", ""), "read its configuration again", "agent:write")
    proof.remove_left()
    if not wait_until(proof.look, options["wait"]):
        raise ApiError(proof.trouble(options["wait"]))
    return {"changed": True, "missing": missing, "left": left}


def _is(found: Json | None, wanted: Json) -> bool:
    """Whether a service, as the agent or the catalog shows it, is the declared one."""
    if found is None:
        return False
    tags = found.get("Tags") or []
    return (
        found.get("Service") == wanted.get("name")
        and (found.get("Port") or 0) == (wanted.get("port") or 0)
        and (found.get("Address") or "") == (wanted.get("address") or "")
        and (found.get("Meta") or {}) == (wanted.get("meta") or {})
        and (bool(wanted.get("enable_tag_override")) or sorted(tags) == sorted(wanted.get("tags") or []))
    )
