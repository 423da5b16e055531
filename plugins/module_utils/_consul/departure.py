# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A node goes for good: it leaves by itself, and the others forget what is left of it. Each can be done again."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import quote

from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, done, wait_until
from ansible_collections.discovery.consul.plugins.module_utils._consul.case import ALIVE, rpc_address, state_of, tags_of
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client, ConsulError
from ansible_collections.discovery.consul.plugins.module_utils._consul.leadership import raft_servers

Json = t.Dict[str, t.Any]

NOBODY_LISTENS = "Connection refused"

MEMBER, PEER, CATALOG = "member", "raft_peer", "catalog"

# The leader removes a member's peer and its entry in the catalog by itself, a moment after it heard that it left.
SETTLE = 3.0


def depart(client: Client, options: Json, check_mode: bool) -> Json:
    return (leave if options["state"] == "left" else forget)(client, options, check_mode)


def leave(client: Client, options: Json, check_mode: bool) -> Json:
    """Have the agent leave the cluster and end. One that does not run any more has nothing to leave."""
    name = options["name"]
    if not _runs(client):
        return {"changed": False, "running": False, "steps": []}
    answer = done(client, lambda: client.get("/v1/agent/self"), "say which node it is", "agent:read")
    found = (answer.data.get("Config") or {}).get("NodeName")
    if found != name:
        raise ApiError(f"{client.url} is the API of the node {found}, not of {name}, so it stays in the cluster. Give the URL of {name}.")
    if not check_mode:
        try:
            done(client, lambda: client.put("/v1/agent/leave", ""), "leave the cluster", "agent:write")
        except ConsulError:
            # It may end before its answer is out.
            if not wait_until(lambda: not _runs(client), SETTLE):
                raise
    return {"changed": True, "running": True, "steps": ["leave"]}


def forget(client: Client, options: Json, check_mode: bool) -> Json:
    """Have the others forget a node that does not run any more: as a member, as a raft peer, and in the catalog."""
    name, address = options["name"], options["address"]
    members = done(client, lambda: client.get("/v1/agent/members"), "show its members", "node:read").data
    member = next((one for one in members if one.get("Name") == name), None)
    if member and member.get("Status") == ALIVE:
        raise ApiError(
            f"{name} is {state_of(member)} at {member.get('Addr')}, as {client.url} sees it, and would come back when it is forgotten. "
            "Have it leave or stop it first; a node that stopped a moment ago is seen as failed within half a minute."
        )
    if any(one.get("Status") == ALIVE and one.get("Addr") == address for one in members if address):
        raise ApiError(f"Another node that is alive has the address {address} of {name}. Leave the address out, or correct it.")
    if not member and not wait_until(lambda: name not in [peer.get("Node") for peer in raft_servers(client)], SETTLE):
        raise ApiError(f"{name} is a raft peer that the leader knows, and {client.url} does not show it as a member. Give a token with node:read on all nodes.")
    steps = [MEMBER] if member else []
    steps += [PEER] if (peers := _peers(client, name, address, member)) else []
    steps += [CATALOG] if _in_catalog(client, name) else []
    if not check_mode:
        if member:
            done(client, lambda: client.put(f"/v1/agent/force-leave/{quote(name)}", "", prune=""), f"forget the member {name}", "operator:write")
        if PEER in steps:
            _remove_peers(client, {str(peer["ID"]) for peer in peers})
        if CATALOG in steps and not wait_until(lambda: not _in_catalog(client, name), SETTLE if member else 0):
            done(client, lambda: client.put("/v1/catalog/deregister", json.dumps({"Node": name})), f"take {name} out of the catalog", "node:write")
    return {"changed": bool(steps), "running": False, "steps": steps}


def _runs(client: Client) -> bool:
    try:
        client.get("/v1/status/leader")
    except ConsulError as exc:
        if NOBODY_LISTENS in exc.evidence:
            return False
        raise
    return True


def _peers(client: Client, name: str, address: str | None, member: Json | None) -> list[Json]:
    """The raft peers that are this node. Once the node is no member any more its peer has no name, but still its address."""
    rpc, identity = (rpc_address(member), tags_of(member).get("id")) if member else ("", None)
    return [
        peer
        for peer in raft_servers(client)
        if peer.get("Node") == name
        or (identity and peer.get("ID") == identity)
        or (rpc and peer.get("Address") == rpc)
        or (address and str(peer.get("Address")).rpartition(":")[0].strip("[]") == address)
    ]


def _remove_peers(client: Client, identities: set[str]) -> None:
    def left() -> set[str]:
        return identities & {str(peer.get("ID")) for peer in raft_servers(client)}

    if wait_until(lambda: not left(), SETTLE):
        return
    for identity in sorted(left()):
        # Whom the leader removed meanwhile it does not find, so what counts is what is there afterwards.
        answer = client.delete("/v1/operator/raft/peer", id=identity)
        if identity in left():
            done(client, lambda: answer, f"remove the raft peer {identity}", "operator:write")  # noqa: B023
    if left():
        raise ApiError(f"The raft peer {', '.join(sorted(left()))} is still there. See the log of the leader, and run again.")


def _in_catalog(client: Client, name: str) -> bool:
    answer = done(client, lambda: client.get("/v1/catalog/nodes", consistent="", filter=f"Node == {json.dumps(name)}"), "show the catalog", "node:read")
    return any(node.get("Node") == name for node in answer.data or [])
