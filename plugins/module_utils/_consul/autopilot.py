# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The configuration of autopilot, which removes dead servers. Agents read it from their files only when a cluster is bootstrapped."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, done
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client

Json = t.Dict[str, t.Any]

PATH = "/v1/operator/autopilot/configuration"

# Somebody else may change it between our look at it and our write.
TRIES = 5


def configure(client: Client, options: Json, check_mode: bool) -> Json:
    """Set `min_quorum`, and leave everything else as it is, whoever set it."""
    wanted = options["min_quorum"]
    for _time in range(TRIES):
        held = done(client, lambda: client.get(PATH), "show autopilot's configuration", "operator:read").data
        before = held.get("MinQuorum", 0)  # as documented, it is not shown while nobody has set it
        result = {"changed": before != wanted, "former": before, "diff": {"before": _shown(before), "after": _shown(wanted)}}
        if check_mode or not result["changed"]:
            return result
        kept = {key: value for key, value in held.items() if key not in ("CreateIndex", "ModifyIndex")}
        text, index = json.dumps({**kept, "MinQuorum": wanted}), str(held["ModifyIndex"])
        if done(client, lambda: client.put(PATH, text, cas=index), "set autopilot's configuration", "operator:write").data:  # noqa: B023
            return result
    raise ApiError(f"Autopilot's configuration was changed by somebody else {TRIES} times while min_quorum was to be set. Run again.")


def _shown(number: t.Any) -> str:
    return f"min_quorum: {number}\n"
