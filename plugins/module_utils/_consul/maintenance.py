# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Maintenance of a node, or of the instances of one service on it, through the node's own agent, without a Python library for Consul."""

from __future__ import annotations

import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, done, wait_until
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import Reader, segment
from ansible_collections.discovery.consul.plugins.module_utils._consul.services import as_documented, read

Json = t.Dict[str, t.Any]

NODE_CHECK = "_node_maintenance"
SERVICE_CHECK = "_service_maintenance:"


def converge(agent: Reader, options: Json, check_mode: bool) -> Json:
    """Begin or end it, and wait until the catalog shows that."""
    service, wanted = options["service"], options["state"] == "present"
    targets = _targets(agent, service)
    checks = _checks(agent)
    before = _reasons(checks)
    wrong = [check for check in targets if (check in before) != wanted]
    result = {
        "changed": bool(wrong),
        "instances": [ident for ident in targets.values() if ident],
        "reasons": sorted({before[check] for check in targets if check in before}),
        "diff": {"before": _shown(targets, before), "after": {_name(ident): "in maintenance" if wanted else "in service" for ident in targets.values()}},
    }
    if check_mode:
        return result
    for check in wrong:
        _tell(agent, targets[check], wanted, options["reason"])
    # Where the agent had no check at all, it has one now, or nothing was to be done.
    node = _node(checks) or _node(_checks(agent))
    if node and not wait_until(lambda: all((check in _in_catalog(agent, node)) == wanted for check in targets), options["wait"]):
        raise ApiError(
            f"The catalog does not show the maintenance of {node} as its agent has it, after {options['wait']:g} s. The agent tells the servers with its "
            "own token, or with that of the service: look for 'blocked by ACLs' in its log."
        )
    return result


def _targets(agent: Reader, service: str | None) -> dict[str, str]:
    """The checks that stand for the maintenance, each with the id of its instance, which is an empty text for the node."""
    if not service:
        return {NODE_CHECK: ""}
    found = read(agent, "/v1/agent/services", "tell which services the agent has", "service:read on them", dict)
    with as_documented("/v1/agent/services"):
        idents = sorted(ident for ident, one in found.items() if one["Service"] == service)
    if not idents:
        raise ApiError(f"The agent has no instance of `{service}`, or the token lacks service:read on it. Name a service of this very agent.")
    return {SERVICE_CHECK + ident: ident for ident in idents}


def _checks(agent: Reader) -> Json:
    found: Json = read(agent, "/v1/agent/checks", "tell which checks the agent has", "node:read on its node, and service:read on the service", dict)
    return found


def _reasons(checks: Json) -> dict[str, str]:
    """The maintenance that the agent has, with its reasons."""
    with as_documented("/v1/agent/checks"):
        return {ident: str(check.get("Notes") or "") for ident, check in checks.items() if ident.startswith((NODE_CHECK, SERVICE_CHECK))}


def _tell(agent: Reader, ident: str, begin: bool, reason: str) -> None:
    path = f"/v1/agent/service/maintenance/{segment(ident)}" if ident else "/v1/agent/maintenance"
    right = f"service:write on the service of {ident}" if ident else "node:write on its node"
    params = {"enable": "true" if begin else "false", **({"reason": reason} if begin else {})}
    done(agent, lambda: agent.put(path, **params), f"{'begin' if begin else 'end'} the maintenance of {_name(ident)}", right)


def _node(checks: Json) -> str:
    """The name of the agent's node, which its checks tell; to ask for it would need one more right."""
    with as_documented("/v1/agent/checks"):
        return next((str(check["Node"]) for check in checks.values()), "")


def _in_catalog(agent: Reader, node: str) -> set[str]:
    checks = read(agent, f"/v1/health/node/{segment(node)}", f"tell of the checks of {node}", "node:read and service:read")
    return {str(check.get("CheckID")) for check in checks}


def _name(ident: str) -> str:
    return ident or "the node"


def _shown(targets: t.Mapping[str, str], reasons: t.Mapping[str, str]) -> Json:
    return {_name(ident): "in maintenance" if check in reasons else "in service" for check, ident in targets.items()}
