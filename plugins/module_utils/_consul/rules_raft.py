# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Rules on what the servers do together: elect a leader, keep one list of peers and one log, and take writes.

Each rule returns what to say when nothing speaks against it.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible_collections.discovery.consul.plugins.module_utils._consul.case import Case, Findings, Json, listed, repeated, rpc_address
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import committed, number, stat


def leader(case: Case, findings: Findings) -> str:
    named: dict[str, list[str]] = {}
    for node in case.answering():
        answer = case.readings.node(node.name, "leader")
        if answer.good:
            named.setdefault(str(answer.data or ""), []).append(node.name)
        else:
            findings.failed(answer, f"{node.name} cannot say who leads", node.name)
    if "" in named:
        findings.wrong(f"{' and '.join(named[''])} {'knows' if len(named['']) == 1 else 'know'} no leader", *named[""])
    known = {address: names for address, names in named.items() if address}
    if len(known) > 1:
        findings.wrong("different leaders are named: " + ", ".join(f"{address} by {' and '.join(names)}" for address, names in known.items()))
    if not named:
        findings.wrong("no node answers who leads")
    for address in known:
        _contradictions(case, findings, address)
    agreed = case.leader_address()
    return f"{case.name_at(agreed)} at {agreed} is the leader for all."


def _contradictions(case: Case, findings: Findings, address: str) -> None:
    """What speaks against the leader that is named."""
    against = case.against_leader()
    if against:
        findings.wrong(against)
    name = case.name_at(address)
    own = case.readings.node(str(name), "self")
    if name in case.readings.nodes and own.status is None:
        findings.wrong(f"{name} is named as the leader, but does not answer", str(name))
    elif own.good and stat(own, "raft", "state") not in (None, "Leader"):
        findings.wrong(f"{name} is named as the leader, but says that it is {stat(own, 'raft', 'state')}", str(name))
    for source, servers in (("the raft configuration", case.raft_servers()), ("autopilot", case.autopilot_servers())):
        leaders = [str(server.get("Address")) for server in servers if server.get("Leader")]
        if servers and leaders != [address]:
            findings.wrong(f"{address} is named as the leader, but {source} says {' and '.join(leaders) or 'nobody'}")


def raft_peers(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("raft")
    servers = case.raft_servers()
    if not answer.good:
        findings.failed(answer, "the raft configuration cannot be read")
    elif not servers:
        findings.wrong("the raft configuration has no servers")
    else:
        _peers_expected(case, findings, servers)
        _peers_addresses(case, findings, servers)
        _peers_everywhere(case, findings, servers)
    return f"The {len(servers)} voters are the expected servers, and each server has the same list."


def _peers_expected(case: Case, findings: Findings, servers: list[Json]) -> None:
    names = [str(server.get("Node")) for server in servers]
    for server, name in zip(servers, names):
        if name == "(unknown)":
            findings.wrong(f"raft has a peer at {server.get('Address')} that no member is")
        elif name not in case.server_names:
            findings.wrong(f"raft has the peer {name} at {server.get('Address')}, which is not expected", name)
        if not server.get("Voter"):
            findings.wrong(f"{name} at {server.get('Address')} does not vote", name)
    for name in sorted(case.server_names - set(names)):
        findings.wrong(f"{name} is no raft peer", name)
    for name in repeated(names):
        findings.wrong(f"raft has {name} more than once", name)


def _peers_addresses(case: Case, findings: Findings, servers: list[Json]) -> None:
    view = case.view()
    for server in servers:
        member = view.get(str(server.get("Node")))
        if member is not None and rpc_address(member) != server.get("Address"):
            name = str(server.get("Node"))
            findings.wrong(f"raft has {name} at {server.get('Address')}, but it is at {rpc_address(member)}", name)


def _peers_everywhere(case: Case, findings: Findings, servers: list[Json]) -> None:
    for node in case.answering():
        answer = case.readings.node(node.name, "raft")
        if not node.server or answer.status is None:
            continue
        if not answer.good:
            findings.failed(answer, f"{node.name} does not show its raft configuration", node.name)
        elif _peer_set(listed(answer, "Servers")) != _peer_set(servers):
            findings.wrong(f"{node.name} has another list of raft peers than the leader", node.name)


def _peer_set(servers: list[Json]) -> set[tuple[t.Any, ...]]:
    return {(server.get("ID"), server.get("Address"), server.get("Voter")) for server in servers}


def autopilot(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("autopilot")
    servers = case.autopilot_servers()
    if answer.status not in {200, 429} or not isinstance(answer.data, dict):
        findings.failed(answer, "autopilot cannot be asked")
        return ""
    if not servers:
        findings.wrong("autopilot has no servers yet, as right after an election")
        return ""
    if not answer.data.get("Healthy"):
        findings.wrong("autopilot finds the servers unhealthy")
    for server in servers:
        _autopilot_server(case, findings, server, answer.date)
    for name in sorted(case.server_names - {str(server.get("Name")) for server in servers}):
        findings.wrong(f"autopilot does not have {name}: it has {len(servers)} of {len(case.servers)} servers", name)
    tolerance, designed = answer.data.get("FailureTolerance") or 0, (len(case.servers) - 1) // 2
    if tolerance < designed:
        findings.wrong(f"{tolerance} servers may fail, not {designed}")
    return f"All {len(servers)} servers are healthy voters, and {tolerance} may fail."


def _autopilot_server(case: Case, findings: Findings, server: Json, now: float | None) -> None:
    name = str(server.get("Name"))
    if name not in case.server_names:
        findings.wrong(f"autopilot has the server {name}, which is not expected", name)
    if not server.get("Healthy"):
        findings.wrong(f"autopilot finds {name} unhealthy: {server.get('SerfStatus')}, last contact {server.get('LastContact')}", name)
    if not server.get("Voter"):
        findings.wrong(f"{name} has no vote yet", name)
    stable = _seconds(server.get("StableSince"))
    if case.limits.stable_for and (stable is None or now is None or now - stable < case.limits.stable_for):
        findings.wrong(f"{name} has been stable since {server.get('StableSince')} only, not for {case.limits.stable_for:g} s", name)


def _seconds(moment: t.Any) -> float | None:
    """`2026-01-01T10:00:00Z` in seconds since 1970."""
    try:
        return datetime.strptime(str(moment)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def replication(case: Case, findings: Findings) -> str:
    own = {node.name: case.readings.node(node.name, "self") for node in case.servers}
    known = {name: answer for name, answer in own.items() if committed(answer)}
    commits = {name: (committed(answer) or (0, 0))[0] for name, answer in known.items()}
    leaders = [commits[name] for name, answer in known.items() if stat(answer, "raft", "state") == "Leader"]
    goal = max(leaders or commits.values(), default=0)
    for name, answer in known.items():
        _replicated(case, findings, name, answer, goal)
    terms = {name: stat(answer, "raft", "term") for name, answer in known.items()}
    if len(set(terms.values())) > 1:
        findings.wrong("the servers are in different terms: " + ", ".join(f"{name} in {term}" for name, term in terms.items()), *terms)
    _replicated_by_autopilot(case, findings, [node.name for node in case.servers if node.name not in known])
    return f"Each server has the log up to {goal}."


def _replicated(case: Case, findings: Findings, name: str, answer: Answer, goal: int) -> None:
    applied = number(stat(answer, "raft", "applied_index")) or 0
    if applied < goal - case.limits.max_trailing_logs:
        findings.wrong(f"{name} has applied {applied} of {goal} log entries", name)
    first, settled = committed(answer), case.readings.node(name, "settled")
    now = committed(settled) or first
    if first and now and now[0] < first[1]:
        findings.wrong(f"{name} has log entries up to {first[1]}, but only {now[0]} are committed", name)


def _replicated_by_autopilot(case: Case, findings: Findings, names: list[str]) -> None:
    """Servers that do not speak for themselves, as the leader's autopilot saw them within the last 2 seconds."""
    servers = {str(server.get("Name")): server for server in case.autopilot_servers()}
    goal = max((number(server.get("LastIndex")) or 0 for server in servers.values()), default=0)
    for name in names:
        if name not in servers:
            findings.open(f"nothing is known of {name}'s log", name)
        elif (number(servers[name].get("LastIndex")) or 0) < goal - case.limits.max_trailing_logs:
            findings.wrong(f"{name} has {servers[name].get('LastIndex')} of {goal} log entries", name)


def write(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("write")
    if not answer.good:
        findings.failed(answer, "a key cannot be written, read and removed", *([case.readings.via] if case.readings.via else []))
    return f"A key was written, read and removed in {answer.data} s."
