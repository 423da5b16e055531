# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From a reading to rules, and from rules to a verdict. Nothing is asked here.

A rule is true only when there is evidence for it. An answer that is empty or refused for want of permission leaves it
open, and an answer that should have come and did not is a failure.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul import rules_catalog, rules_members, rules_raft
from ansible_collections.discovery.consul.plugins.module_utils._consul.case import Case, Findings, Json, Limits, Rule, build_of, role_of, state_of
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import Expected, Readings

SERVER_RULES = frozenset({"servers", "leader", "raft_peers", "autopilot", "replication"})

Check = t.Callable[[Case, Findings], str]

# Each rule's check, what to do when it fails, and the permissions that it needs.
RULES: dict[str, tuple[Check, str, str]] = {
    "servers": (rules_members.servers, "Start the servers that are missing, and see their logs and the network between them.", "agent:read and node:read"),
    "leader": (rules_raft.leader, "Start servers until more than half are up, and see why they cannot elect one of them.", "no rights at all"),
    "raft_peers": (
        rules_raft.raft_peers,
        "Wait two minutes, as addresses mend themselves; then remove dead peers with `consul operator raft remove-peer`.",
        "operator:read",
    ),
    "autopilot": (rules_raft.autopilot, "Bring back the servers that autopilot lacks or finds unhealthy.", "operator:read"),
    "replication": (rules_raft.replication, "See disk and network of the servers that trail behind.", "agent:read"),
    "write": (rules_raft.write, "Bring back more than half of the servers.", "key:write on _health/"),
    "members": (
        rules_members.members,
        "Start the nodes that are missing, bring all to one release, and forget nodes that are gone for good with `consul force-leave`.",
        "agent:read and node:read",
    ),
    "catalog": (rules_catalog.catalog, "Nodes mend the catalog within a minute; else see their logs for refused registrations.", "node:read"),
    "dns": (rules_catalog.dns, "See that DNS is reached, and that the agent's own token may read nodes and services.", "node:read and service:read"),
    "checks": (rules_catalog.checks, "See the services of the critical checks, or raise allowed_critical.", "node:read and service:read"),
    "security": (
        rules_members.security,
        "Give all nodes the same settings, and finish the change of gossip keys with `consul keyring`.",
        "agent:read",
    ),
}


@dataclass
class Verdict:
    """All rules, and what they amount to. `serving` is whether there is a leader and a key can be written. `services` are
    the names in the catalog. `sound` are the servers that have a vote and that no rule about servers speaks against; as
    many of them as `quorum` have to be there for a key to be written."""

    level: str
    serving: bool
    rules: list[Rule]
    leader: dict[str, str | None] | None
    nodes: list[Json]
    services: list[str] = field(default_factory=list)
    sound: frozenset[str] = frozenset()
    quorum: int = 1

    def can_lose(self, name: str | None) -> bool:
        """Whether keys can still be written when this server stops."""
        return self.serving and len(self.sound - {name}) >= self.quorum


def judge(expected: t.Sequence[Expected], readings: Readings, limits: Limits) -> Verdict:
    """All rules, and the verdict."""
    case = Case(expected, readings, limits)
    rules = [_one(case, name, check, remedy) for name, (check, remedy, _permission) in RULES.items()]
    led = case.led()
    write = next(rule for rule in rules if rule.name == "write")
    serving = led and (write.ok is True or (_left_out(case, "write") is not None and case.proven()))
    address = case.newest_leader() if led else None
    leader = {"name": case.name_at(address), "address": address} if address else None
    services = readings.of_cluster("services")
    names = sorted(services.data) if services.good and isinstance(services.data, dict) else []
    voters = {str(server.get("Node")) for server in case.raft_servers() if server.get("Voter")}
    suspects = {node for rule in rules if rule.ok is False and rule.name in SERVER_RULES for node in rule.nodes}
    sound = frozenset((voters & case.server_names) - suspects)
    return Verdict(_level(case, rules, led, serving), serving, rules, leader, _nodes(case), names, sound, len(voters) // 2 + 1)


def skipped(rules: t.Iterable[Rule], expected: t.Sequence[Expected], limits: Limits) -> list[str]:
    """Names of the rules that were left out."""
    case = Case(expected, Readings(), limits)
    return [rule.name for rule in rules if _left_out(case, rule.name) is not None]


def _one(case: Case, name: str, check: Check, remedy: str) -> Rule:
    reason = _left_out(case, name)
    if reason is not None:
        return Rule(name, None, reason)
    findings = Findings()
    good = check(case, findings)
    return findings.rule(name, good, remedy, permission_for(name, case.limits))


def permission_for(name: str, limits: Limits) -> str:
    """What a token needs for a rule."""
    permission = RULES[name][2]
    return f"{permission} and keyring:read" if name == "security" and limits.gossip_keys else permission


def _left_out(case: Case, name: str) -> str | None:
    if name in case.limits.skip:
        return "Left out, as skip_rules says."
    if name == "write" and not case.limits.write:
        return "Left out in check mode: nothing was written, so whether a key can be written is not proven."
    if name == "dns" and not any(node.dns for node in case.expected):
        return "Left out: no node has an address for DNS."
    return None


def _level(case: Case, rules: list[Rule], led: bool, serving: bool) -> str:
    judged = [rule for rule in rules if _left_out(case, rule.name) is None]
    if not led or any(rule.name == "write" and rule.ok is False for rule in judged):
        return "unavailable"
    if not serving:
        return "unknown"
    if any(rule.ok is False for rule in judged):
        return "degraded"
    return "healthy" if all(rule.ok or rule.name in case.limits.accept_unknown for rule in judged) else "unknown"


def _nodes(case: Case) -> list[Json]:
    view, raft = case.view(), {str(server.get("Node")): server for server in case.raft_servers()}
    reached = {node.name for node in case.answering()}
    return [
        {
            "name": node.name,
            "role": role_of(node),
            "address": view.get(node.name, {}).get("Addr") or node.address,
            "state": state_of(view[node.name]) if node.name in view else ("missing" if view else "unknown"),
            "http": node.name in reached if node.name in case.readings.nodes else None,
            "version": build_of(view[node.name]) if node.name in view else None,
            "voter": bool(raft.get(node.name, {}).get("Voter")) if raft else None,
        }
        for node in case.expected
    ]
