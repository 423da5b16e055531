# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Rules on the members: whether all that are expected are there, speak for themselves and agree.

Each rule returns what to say when nothing speaks against it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.case import ALIVE, Case, Findings, View, build_of, repeated, role_of, state_of, tags_of
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import Expected, stat


def servers(case: Case, findings: Findings) -> str:
    for node in case.servers:
        if node.name in case.readings.nodes:
            _speaks_for_itself(case, findings, node)
    for seer, view in case.server_views().items():
        _sees_servers(case, findings, seer, view)
    _unseeing(case, findings)
    _doubles(case, findings)
    return f"All {len(case.servers)} servers answer and see each other."


def members(case: Case, findings: Findings) -> str:
    clients = [node for node in case.expected if not node.server]
    for node in clients:
        if node.name in case.readings.nodes:
            _speaks_for_itself(case, findings, node)
    for seer, view in case.views().items():
        for node in clients:
            _sees(case, findings, seer, view, node)
        for name, member in view.items():
            if name not in case.server_names and state_of(member) == "failed":
                findings.wrong(f"{seer} sees {name} as failed", name)
    if not case.view():
        findings.open("no node shows its members")
    _alike(case, findings)
    return f"All {len([member for member in case.view().values() if member.get('Status') == ALIVE])} members are alive and alike."


def security(case: Case, findings: Findings) -> str:
    own = {node.name: case.readings.node(node.name, "self") for node in case.answering()}
    for name, answer in own.items():
        if answer.denied:
            findings.open(f"{name} does not show its settings: permission denied ({answer.url})", name)
    shown = {name: answer for name, answer in own.items() if answer.good}
    if not shown:
        findings.open("no node shows its settings")
    encrypted = {name: str(stat(answer, "serf_lan", "encrypted")) for name, answer in shown.items()}
    of_servers = {name: answer for name, answer in shown.items() if name in case.server_names}
    findings.same("settings for encrypted gossip", encrypted)
    findings.same("settings for ACLs", {name: str(stat(answer, "consul", "acl")) for name, answer in of_servers.items()})
    findings.same("settings for TLS", {name: _tls(answer) for name, answer in of_servers.items()})
    gossip = "true" in encrypted.values()
    asked = gossip and case.limits.gossip_keys
    if asked:
        _keyring(case, findings)
    for name, answer in shown.items():
        _unshown(findings, name, answer, name in of_servers)
    acls = ", ".join({str(stat(answer, "consul", "acl")) for answer in of_servers.values()}) or "unknown"
    return f"Gossip is {('encrypted with one key' if asked else 'encrypted') if gossip else 'not encrypted'}, ACLs are {acls}, and all nodes agree."


def _unshown(findings: Findings, name: str, answer: Answer, server: bool) -> None:
    """What a release does not show, or shows otherwise than this rule knows, is no evidence for anything."""
    known = {
        "whether its gossip is encrypted": stat(answer, "serf_lan", "encrypted") is not None,
        "whether it enforces ACLs": not server or stat(answer, "consul", "acl") is not None,
        "how it verifies TLS": not server or bool(_tls_flags(answer)),
    }
    for what in [what for what, shown in known.items() if not shown]:
        findings.open(f"{name} does not show {what}", name)


def _speaks_for_itself(case: Case, findings: Findings, node: Expected) -> None:
    """Its API answers, and it is the node that it should be: a port may lead elsewhere."""
    answer = case.readings.node(node.name, "self")
    if not answer.good:
        return findings.failed(answer, f"{node.name} does not say who it is", node.name)
    config = answer.data.get("Config") or {} if isinstance(answer.data, dict) else {}
    if config.get("NodeName") != node.name:
        findings.wrong(f"{node.http} is the API of {config.get('NodeName')}, not of {node.name}", node.name)
    if bool(config.get("Server")) != node.server:
        findings.wrong(f"{node.name} is a {'server' if config.get('Server') else 'client'}, not a {role_of(node)}", node.name)
    return None


def _sees_servers(case: Case, findings: Findings, seer: str, view: View) -> None:
    for node in case.servers:
        _sees(case, findings, seer, view, node)
    for name, member in view.items():
        if tags_of(member).get("role") == "consul" and member.get("Status") == ALIVE and name not in case.server_names:
            findings.wrong(f"{seer} sees the server {name} at {member.get('Addr')}, which is not expected", name)


def _sees(case: Case, findings: Findings, seer: str, view: View, node: Expected) -> None:
    member = view.get(node.name)
    if member is None:
        hidden = case.hides_members(seer)
        return (findings.open if hidden else findings.wrong)(f"{seer} does not {'show' if hidden else 'see'} {node.name}", node.name)
    if member.get("Status") != ALIVE:
        return findings.wrong(f"{seer} sees {node.name} as {state_of(member)}", node.name)
    if (tags_of(member).get("role") == "consul") != node.server:
        findings.wrong(f"{seer} sees {node.name} as a {'client' if node.server else 'server'}", node.name)
    if node.address and member.get("Addr") != node.address:
        findings.wrong(f"{seer} sees {node.name} at {member.get('Addr')}, not at {node.address}", node.name)
    return None


def _unseeing(case: Case, findings: Findings) -> None:
    """Nodes that answer but show no members: at least themselves they would show to whom they may."""
    views = case.views()
    for node in case.answering():
        answer = case.readings.node(node.name, "members")
        if node.name not in views and answer.good:
            findings.open(f"{node.name} shows no members at all, so the token may not see any", node.name)
        elif node.name not in views:
            findings.failed(answer, f"{node.name} does not show its members", node.name)
    if not case.answering():
        findings.wrong("no node answers that could be asked")


def _doubles(case: Case, findings: Findings) -> None:
    for seer in case.server_views():
        members = [member for member in case.readings.node(seer, "members").data if member.get("Status") == ALIVE]
        for what, claims in (("id", [tags_of(member).get("id") for member in members]), ("name", [member.get("Name") for member in members])):
            for claim in repeated(claims):
                names = [str(member.get("Name")) for member in members if claim in (tags_of(member).get("id"), member.get("Name"))]
                findings.wrong(f"{' and '.join(names)} have the same {what}: {claim}", *names)


def _alike(case: Case, findings: Findings) -> None:
    alive = {name: member for name, member in case.view().items() if member.get("Status") == ALIVE}
    builds = {name: build_of(member) for name, member in alive.items()}
    if not case.limits.allow_version_skew:
        findings.same("releases", builds)
    findings.same("gossip protocols", {name: str(member.get("ProtocolCur")) for name, member in alive.items()})
    datacenters = {name: str(tags_of(member).get("dc")) for name, member in alive.items()}
    findings.same("datacenters", datacenters)
    for name, datacenter in datacenters.items():
        if case.limits.datacenter not in (None, datacenter):
            findings.wrong(f"{name} is in datacenter {datacenter}, not {case.limits.datacenter}", name)


def _keyring(case: Case, findings: Findings) -> None:
    answer = case.readings.of_cluster("keyring")
    if not answer.good or not isinstance(answer.data, list):
        return findings.failed(answer, "the gossip keys cannot be listed")
    for pool in answer.data:
        where = "WAN" if pool.get("WAN") else str(pool.get("Datacenter"))
        keys = pool.get("Keys") or {}
        # The keys themselves are secrets; their number is not.
        if len(keys) != 1:
            findings.wrong(f"{len(keys)} gossip keys are in use in {where}, not one")
        for count in keys.values():
            if count != pool.get("NumNodes"):
                findings.wrong(f"{count} of {pool.get('NumNodes')} nodes in {where} have a gossip key")
        for name, message in (pool.get("Messages") or {}).items():
            findings.wrong(f"{name} has trouble with the gossip keys: {message}", name)
    return None


def _tls(answer: Answer) -> str:
    return ", ".join(key for key, value in _tls_flags(answer).items() if value) or "unverified"


def _tls_flags(answer: Answer) -> dict[str, t.Any]:
    """Which sides are verified, as old (flat) and new (nested) releases show it. What they show may change without notice."""
    debug = answer.data.get("DebugConfig") or {}
    rpc = (debug.get("TLS") or {}).get("InternalRPC") or debug
    return {key: rpc[key] for key in ("VerifyIncoming", "VerifyOutgoing", "VerifyServerHostname") if key in rpc}
