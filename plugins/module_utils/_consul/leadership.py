# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Who leads the servers of a cluster, and how another one comes to lead them."""

from __future__ import annotations

import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, done, wait_until
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client

Json = t.Dict[str, t.Any]

TRANSFER = "/v1/operator/raft/transfer-leader"

UNKNOWN = (404, 405)
"""What a release answers to a call that it does not have."""


def raft_servers(client: Client) -> list[Json]:
    """The servers in the raft configuration, as the leader has it."""
    answer = done(client, lambda: client.get("/v1/operator/raft/configuration"), "list the raft peers", "operator:read")
    return answer.data.get("Servers") or []


def leader(client: Client) -> str:
    """Name of the server that leads; empty during an election."""
    return next((str(server["Node"]) for server in raft_servers(client) if server.get("Leader")), "")


def hand_over(client: Client, options: Json, check_mode: bool) -> Json:
    """See that another server leads than `node`. Releases that cannot hand the leadership over say so, and leave it where it is."""
    found = leader(client)
    result = {"changed": False, "leader": found, "supported": True}
    if found != options["node"]:
        return result
    if check_mode:
        return {**result, "changed": True}
    answer = done(client, lambda: client.post(TRANSFER, ""), f"take the leadership from {found}", "operator:write", good=(200, *UNKNOWN))
    if answer.status in UNKNOWN:
        return {**result, "supported": False}
    if not (isinstance(answer.data, dict) and answer.data.get("Success")):
        raise ApiError(f"Consul did not take the leadership from {found}: {answer.data}. See that another server has caught up, and run again.")
    if not wait_until(lambda: leader(client) not in ("", found), options["wait"]):
        raise ApiError(f"{found} handed the leadership over, and {leader(client) or 'nobody'} leads {options['wait']:g} s later. See the logs of the servers.")
    return {**result, "changed": True, "leader": leader(client)}
