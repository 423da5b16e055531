# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The gossip keys of a running cluster: from the ones that it has to one, without a moment in which nodes do not understand each other.

Each step is done only when every member has done the one before, so it can be interrupted anywhere and done again.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, Client
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

PATH = "/v1/operator/keyring"


class KeyringError(OperatorError):
    """A step that not every member did. Keys that are in use have not been touched."""


@dataclass(frozen=True)
class Ring:
    """One pool of gossip, in the datacenter or between datacenters: how many nodes, and how many of them have each key."""

    name: str
    nodes: int
    keys: t.Mapping[str, int]


def rings(client: Client) -> list[Ring]:
    """The pools, as all their members report."""
    answer = _good(client.get(PATH), "read the gossip keys")
    found = [Ring("WAN" if one.get("WAN") else f"LAN of {one['Datacenter']}", one["NumNodes"], one["Keys"]) for one in answer.data]
    for one in answer.data:
        if one.get("Messages"):
            raise KeyringError(f"Nodes have trouble with the gossip keys: {one['Messages']}. See that all members are alive, and run again.")
    return found


def steps(found: t.Sequence[Ring], key: str) -> list[str]:
    """What is left to do until `key` is the only one: install, use, remove."""
    others = {other for ring in found for other in ring.keys} - {key}
    missing = any(ring.keys.get(key, 0) < ring.nodes for ring in found)
    return [*(["install"] if missing else []), *(["use", "remove"] if others else [])]


def converge(client: Client, options: Json, check_mode: bool) -> Json:
    taken = rotate(client, options["key"], check_mode)
    return {"changed": bool(taken), "steps": taken}


def rotate(client: Client, key: str, check_mode: bool) -> list[str]:
    """Make `key` the only one; the steps that it took."""
    found = rings(client)
    planned = steps(found, key)
    if check_mode or not planned:
        return planned
    if "install" in planned:
        _good(client.post(PATH, json.dumps({"Key": key})), "install the new gossip key")
    everywhere = rings(client)
    lacking = [f"{ring.nodes - ring.keys.get(key, 0)} of {ring.nodes} nodes of the {ring.name}" for ring in everywhere if ring.keys.get(key, 0) < ring.nodes]
    if lacking:
        raise KeyringError(f"The new gossip key is not on {', '.join(lacking)}, so the old one stays in use. See that all members are alive, and run again.")
    _good(client.put(PATH, json.dumps({"Key": key})), "use the new gossip key")
    for other in sorted({other for ring in everywhere for other in ring.keys} - {key}):
        _good(client.delete(PATH, json.dumps({"Key": other})), "remove an old gossip key")
    return planned


def _good(answer: Answer, what: str) -> Answer:
    if not answer.good:
        raise KeyringError(f"The cluster did not {what}: {answer.trouble}. See that all members are alive, and run again.")
    return answer
