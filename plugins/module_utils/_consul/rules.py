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
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import Expected, Readings, committed, number, stat

Json = t.Dict[str, t.Any]
View = t.Dict[str, Json]

ALIVE, LEFT = 1, 3
SERVER_RULES = frozenset({"servers", "leader", "raft_peers", "autopilot", "replication"})
STATES = {1: "alive", 2: "leaving", 3: "left", 4: "failed"}

# Consul answers a question over UDP with at most this many addresses (dns_config.udp_answer_limit).
UDP_ANSWERS = 3


@dataclass(frozen=True)
class Limits:
    """What is still good enough."""

    datacenter: str | None = None
    allowed_critical: int = 0
    stable_for: float = 0
    max_trailing_logs: int = 250
    allow_version_skew: bool = False
    skip: t.FrozenSet[str] = frozenset()
    write: bool = True


@dataclass
class Rule:
    """One rule's result: `ok` is None when it is left open."""

    name: str
    ok: bool | None
    summary: str
    evidence: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    remedy: str = ""


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

    def can_spare(self, name: str | None) -> bool:
        """Whether keys can still be written when this server stops."""
        return self.serving and len(self.sound - {name}) >= self.quorum


class Findings:
    """What speaks against a rule, and what leaves it open."""

    def __init__(self) -> None:
        self.wrong_texts: list[str] = []
        self.open_texts: list[str] = []
        self.nodes: list[str] = []

    def wrong(self, text: str, *nodes: str) -> None:
        self._note(self.wrong_texts, text, nodes)

    def open(self, text: str, *nodes: str) -> None:
        self._note(self.open_texts, text, nodes)

    def failed(self, answer: Answer, text: str, *nodes: str) -> None:
        """An answer that is not good: open when permission is wanting, else wrong."""
        if answer.denied:
            self.open(f"{text}: permission denied ({answer.url})", *nodes)
        else:
            self.wrong(f"{text}: {answer.trouble}", *nodes)

    def missing(self, answer: Answer, text: str, *nodes: str) -> None:
        """Something that an answer lacks: open when the answer was filtered by ACLs, else wrong."""
        (self.open if answer.filtered else self.wrong)(text, *nodes)

    def rule(self, name: str, good: str, remedy: str, permission: str) -> Rule:
        if self.wrong_texts:
            return Rule(name, False, _more(self.wrong_texts), self.wrong_texts + self.open_texts, self.nodes, remedy)
        if self.open_texts:
            return Rule(name, None, _more(self.open_texts), self.open_texts, self.nodes, f"Give a token with {permission}, or skip the rule.")
        return Rule(name, True, good)

    def _note(self, texts: list[str], text: str, nodes: tuple[str, ...]) -> None:
        if text not in texts:
            texts.append(text)
        self.nodes += [node for node in nodes if node not in self.nodes]


@dataclass(frozen=True)
class Case:
    """A reading beside what is expected."""

    expected: t.Sequence[Expected]
    readings: Readings
    limits: Limits

    @property
    def servers(self) -> list[Expected]:
        return [node for node in self.expected if node.server]

    @property
    def server_names(self) -> set[str]:
        return {node.name for node in self.servers}

    def answering(self) -> list[Expected]:
        """Nodes that answered anything at all."""
        return [node for node in self.expected if any(answer.status is not None for answer in self.readings.nodes.get(node.name, {}).values())]

    def views(self) -> dict[str, View]:
        """The members by name, as each node sees them. One that may see nothing has no view."""
        found = {}
        for node in self.expected:
            answer = self.readings.node(node.name, "members")
            if answer.good and isinstance(answer.data, list) and answer.data:
                found[node.name] = {str(member.get("Name")): member for member in answer.data}
        return found

    def hides_members(self, seer: str) -> bool:
        """Whether a node shows fewer members than it has. Releases before 1.11 do not say so, but count them elsewhere."""
        answer = self.readings.node(seer, "members")
        count = number(stat(self.readings.node(seer, "self"), "serf_lan", "members")) or 0
        return answer.filtered or (answer.good and count > len(answer.data or []))

    def server_views(self) -> dict[str, View]:
        """The views of the servers, or of the clients where no server is asked."""
        views = self.views()
        return {name: view for name, view in views.items() if name in self.server_names} or views

    def view(self) -> View:
        """The members as the spokesman sees them."""
        views = self.views()
        return views.get(str(self.readings.via)) or next(iter(views.values()), {})

    def leader_votes(self) -> Counter[str]:
        """How many servers (clients, where no server is asked) name whom; `""` is nobody."""
        names = [node.name for node in self.answering() if node.server] or [node.name for node in self.answering()]
        answers = [self.readings.node(name, "leader") for name in names]
        return Counter(str(answer.data or "") for answer in answers if answer.good)

    def leader_address(self) -> str | None:
        """Whom more than half of those that answer name."""
        votes = self.leader_votes()
        return next((address for address, count in votes.items() if address and count * 2 > sum(votes.values())), None)

    def newest_leader(self) -> str | None:
        """Who led when the raft configuration was asked for, which is answered by a leader: nodes may have named the one before."""
        return next((str(server["Address"]) for server in self.raft_servers() if server.get("Leader")), None) or self.leader_address()

    def name_at(self, address: str | None) -> str | None:
        """The server at `ADDRESS:PORT`, by the members and by what is expected."""
        for view in self.views().values():
            for name, member in view.items():
                if _rpc_address(member) == address and member.get("Status") != LEFT:
                    return name
        return next((node.name for node in self.servers if node.address and f"{_bracketed(node.address)}:8300" == address), None)

    def raft_servers(self) -> list[Json]:
        return _listed(self.readings.of_cluster("raft"), "Servers")

    def autopilot_servers(self) -> list[Json]:
        return _listed(self.readings.of_cluster("autopilot"), "Servers")

    def address_of(self, node: Expected) -> str | None:
        return node.address or self.view().get(node.name, {}).get("Addr")

    def leader_bound(self) -> list[Answer]:
        """Answers that only a leader can give."""
        return [self.readings.of_cluster(name) for name in ("raft", "autopilot", "catalog", "write") if name in self.readings.cluster]


def judge(expected: t.Sequence[Expected], readings: Readings, limits: Limits) -> Verdict:
    """All rules, and the verdict."""
    case = Case(expected, readings, limits)
    rules = [_one(case, name, check, remedy, permission) for name, (check, remedy, permission) in RULES.items()]
    led = _led(case)
    write = next(rule for rule in rules if rule.name == "write")
    serving = led and (write.ok is True or (_left_out(case, "write") is not None and _proven(case)))
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


def _one(case: Case, name: str, check: Check, remedy: str, permission: str) -> Rule:
    reason = _left_out(case, name)
    if reason is not None:
        return Rule(name, None, reason)
    findings = Findings()
    good = check(case, findings)
    return findings.rule(name, good, remedy, permission)


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
    return "healthy" if all(rule.ok for rule in judged) else "unknown"


def _proven(case: Case) -> bool:
    """Whether a leader answered something. An autopilot that finds the cluster unhealthy (429) is a leader's answer, too."""
    return any(answer.good or answer.status == 429 for answer in case.leader_bound())


def _led(case: Case) -> bool:
    """Whether there is a leader that most name and that nothing speaks against."""
    return case.leader_address() is not None and not _against_leader(case)


def _against_leader(case: Case) -> str | None:
    """Nodes go on naming a leader for seconds after it died, so the one they name has to give a sign of life."""
    if _proven(case):
        return None
    refused = all(answer.denied for answer in case.leader_bound())
    return None if refused else f"{case.leader_address()} is still named, but nothing that needs a leader is answered"


# The rules. Each returns what to say when nothing speaks against it.


def _servers(case: Case, findings: Findings) -> str:
    for node in case.servers:
        if node.name in case.readings.nodes:
            _speaks_for_itself(case, findings, node)
    for seer, view in case.server_views().items():
        _sees_servers(case, findings, seer, view)
    _unseeing(case, findings)
    _doubles(case, findings)
    return f"All {len(case.servers)} servers answer and see each other."


def _speaks_for_itself(case: Case, findings: Findings, node: Expected) -> None:
    """Its API answers, and it is the node that it should be: a port may lead elsewhere."""
    answer = case.readings.node(node.name, "self")
    if not answer.good:
        return findings.failed(answer, f"{node.name} does not say who it is", node.name)
    config = answer.data.get("Config") or {} if isinstance(answer.data, dict) else {}
    if config.get("NodeName") != node.name:
        findings.wrong(f"{node.http} is the API of {config.get('NodeName')}, not of {node.name}", node.name)
    if bool(config.get("Server")) != node.server:
        findings.wrong(f"{node.name} is a {'server' if config.get('Server') else 'client'}, not a {_role(node)}", node.name)
    return None


def _sees_servers(case: Case, findings: Findings, seer: str, view: View) -> None:
    for node in case.servers:
        _sees(case, findings, seer, view, node)
    for name, member in view.items():
        if _tags(member).get("role") == "consul" and member.get("Status") == ALIVE and name not in case.server_names:
            findings.wrong(f"{seer} sees the server {name} at {member.get('Addr')}, which is not expected", name)


def _sees(case: Case, findings: Findings, seer: str, view: View, node: Expected) -> None:
    member = view.get(node.name)
    if member is None:
        hidden = case.hides_members(seer)
        return (findings.open if hidden else findings.wrong)(f"{seer} does not {'show' if hidden else 'see'} {node.name}", node.name)
    if member.get("Status") != ALIVE:
        return findings.wrong(f"{seer} sees {node.name} as {_state(member)}", node.name)
    if (_tags(member).get("role") == "consul") != node.server:
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
        for what, claims in (("id", [_tags(member).get("id") for member in members]), ("name", [member.get("Name") for member in members])):
            for claim in _repeated(claims):
                names = [str(member.get("Name")) for member in members if claim in (_tags(member).get("id"), member.get("Name"))]
                findings.wrong(f"{' and '.join(names)} have the same {what}: {claim}", *names)


def _leader(case: Case, findings: Findings) -> str:
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
    against = _against_leader(case)
    if against:
        findings.wrong(against)
    name = case.name_at(address)
    own = case.readings.node(str(name), "self")
    if name in case.readings.nodes and own.status is None:
        findings.wrong(f"{name} is named as the leader, but does not answer", str(name))
    elif own.good and stat(own, "raft", "state") != "Leader":
        findings.wrong(f"{name} is named as the leader, but says that it is {stat(own, 'raft', 'state')}", str(name))
    for source, servers in (("the raft configuration", case.raft_servers()), ("autopilot", case.autopilot_servers())):
        leaders = [str(server.get("Address")) for server in servers if server.get("Leader")]
        if servers and leaders != [address]:
            findings.wrong(f"{address} is named as the leader, but {source} says {' and '.join(leaders) or 'nobody'}")


def _raft_peers(case: Case, findings: Findings) -> str:
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
    for name in _repeated(names):
        findings.wrong(f"raft has {name} more than once", name)


def _peers_addresses(case: Case, findings: Findings, servers: list[Json]) -> None:
    view = case.view()
    for server in servers:
        member = view.get(str(server.get("Node")))
        if member is not None and _rpc_address(member) != server.get("Address"):
            name = str(server.get("Node"))
            findings.wrong(f"raft has {name} at {server.get('Address')}, but it is at {_rpc_address(member)}", name)


def _peers_everywhere(case: Case, findings: Findings, servers: list[Json]) -> None:
    for node in case.answering():
        answer = case.readings.node(node.name, "raft")
        if not node.server or answer.status is None:
            continue
        if not answer.good:
            findings.failed(answer, f"{node.name} does not show its raft configuration", node.name)
        elif _peer_set(_listed(answer, "Servers")) != _peer_set(servers):
            findings.wrong(f"{node.name} has another list of raft peers than the leader", node.name)


def _autopilot(case: Case, findings: Findings) -> str:
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


def _replication(case: Case, findings: Findings) -> str:
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


def _write(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("write")
    if not answer.good:
        findings.failed(answer, "a key cannot be written, read and removed", *([case.readings.via] if case.readings.via else []))
    return f"A key was written, read and removed in {answer.data} s."


def _members(case: Case, findings: Findings) -> str:
    clients = [node for node in case.expected if not node.server]
    for node in clients:
        if node.name in case.readings.nodes:
            _speaks_for_itself(case, findings, node)
    for seer, view in case.views().items():
        for node in clients:
            _sees(case, findings, seer, view, node)
        for name, member in view.items():
            if name not in case.server_names and _state(member) == "failed":
                findings.wrong(f"{seer} sees {name} as failed", name)
    if not case.view():
        findings.open("no node shows its members")
    _alike(case, findings)
    return f"All {len([member for member in case.view().values() if member.get('Status') == ALIVE])} members are alive and alike."


def _alike(case: Case, findings: Findings) -> None:
    alive = {name: member for name, member in case.view().items() if member.get("Status") == ALIVE}
    builds = {name: _build(member) for name, member in alive.items()}
    if not case.limits.allow_version_skew:
        _same(findings, "releases", builds)
    _same(findings, "gossip protocols", {name: str(member.get("ProtocolCur")) for name, member in alive.items()})
    datacenters = {name: str(_tags(member).get("dc")) for name, member in alive.items()}
    _same(findings, "datacenters", datacenters)
    for name, datacenter in datacenters.items():
        if case.limits.datacenter not in (None, datacenter):
            findings.wrong(f"{name} is in datacenter {datacenter}, not {case.limits.datacenter}", name)


def _same(findings: Findings, what: str, values: dict[str, str]) -> None:
    if len(set(values.values())) > 1:
        usual = Counter(values.values()).most_common(1)[0][0]
        others = {name: value for name, value in values.items() if value != usual}
        findings.wrong(f"the members have different {what}: {', '.join(f'{name} {value}' for name, value in others.items())}, the others {usual}", *others)


def _catalog(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("catalog")
    if not answer.good:
        findings.failed(answer, "the catalog cannot be read")
        return ""
    if not answer.data or not isinstance(answer.data, list):
        findings.open("the catalog shows no nodes at all, so the token may not see any")
        return ""
    members = {name: member for name, member in case.view().items() if member.get("Status") != LEFT}
    if not members:
        findings.open("no node shows its members to compare the catalog with")
        return ""
    _catalog_nodes(findings, answer, members, case.hides_members(str(case.readings.via)))
    _serf_health(case, findings, members)
    return f"The catalog has the {len(members)} members, and each is passing."


def _catalog_nodes(findings: Findings, answer: Answer, members: View, hidden: bool) -> None:
    nodes = {str(node.get("Node")): node for node in answer.data}
    for name in [name for name in members if name not in nodes]:
        findings.missing(answer, f"{name} is a member, but not in the catalog", name)
    for name, node in nodes.items():
        if name not in members and not _external(node):
            (findings.open if hidden else findings.wrong)(f"{name} is in the catalog, but no member", name)
        elif name in members and node.get("Address") != members[name].get("Addr"):
            findings.wrong(f"the catalog has {name} at {node.get('Address')}, but it is at {members[name].get('Addr')}", name)
    for what, key in (("name", "Node"), ("id", "ID")):
        for double in _repeated([node.get(key) for node in answer.data]):
            findings.wrong(f"the catalog has the {what} {double} more than once")


def _serf_health(case: Case, findings: Findings, members: View) -> None:
    answer = case.readings.of_cluster("checks")
    if not answer.good or not answer.data:
        return _no_checks(findings, answer)
    health = {str(check.get("Node")): check for check in answer.data if check.get("CheckID") == "serfHealth"}
    for name in members:
        if name not in health:
            findings.missing(answer, f"{name} has no serfHealth check", name)
        elif health[name].get("Status") != "passing":
            findings.wrong(f"serfHealth of {name} is {health[name].get('Status')}", name)
    return None


def _no_checks(findings: Findings, answer: Answer) -> None:
    if answer.good:
        findings.open("no checks are shown at all, not even serfHealth, so the token may not see any")
    else:
        findings.failed(answer, "the checks cannot be read")


def _dns(case: Case, findings: Findings) -> str:
    addresses = {case.address_of(node) for node in case.servers}
    wanted = {address for address in addresses if address}
    if None in addresses:
        findings.open("the addresses of the servers are not known, as no node shows its members")
    for name, answers in case.readings.dns.items():
        for transport, answer in answers.items():
            _dns_answer(case, findings, f"{name} over {transport}", answer, wanted)
    if not case.readings.dns:
        findings.wrong("no node was asked over DNS")
    return f"DNS gives the {len(wanted)} servers over UDP and TCP."


def _dns_answer(case: Case, findings: Findings, who: str, answer: Answer, wanted: set[str]) -> None:
    name = who.partition(" ")[0]
    if not answer.good:
        # An agent without permission to see services knows no such name.
        refused = answer.error == "NXDOMAIN" and not case.views()
        return (findings.open if refused else findings.wrong)(f"{who} has no answer: {answer.trouble}", name)
    found = set(answer.data)
    few = len(found) < (min(UDP_ANSWERS, len(wanted)) if who.endswith("udp") else len(wanted))
    if found - wanted or few:
        findings.wrong(f"{who} gives {', '.join(sorted(found)) or 'no address'} instead of {', '.join(sorted(wanted))}", name)
    return None


def _checks(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("checks")
    if not answer.good or not answer.data:
        _no_checks(findings, answer)
        return ""
    if answer.filtered:
        findings.open("the token may not see all checks")
    # serfHealth says whether a node is alive, which the rule catalog judges.
    critical = [check for check in answer.data if check.get("Status") == "critical" and check.get("CheckID") != "serfHealth"]
    if len(critical) > case.limits.allowed_critical:
        for check in critical:
            findings.wrong(_critical(check), str(check.get("Node")))
    return f"{len(critical)} of {len(answer.data)} checks are critical, {case.limits.allowed_critical} may be."


def _critical(check: Json) -> str:
    of = f" of service {check['ServiceName']}" if check.get("ServiceName") else ""
    output = " ".join(str(check.get("Output") or "").split())[:120]
    return f"check {check.get('CheckID')}{of} on {check.get('Node')} is critical{': ' if output else ''}{output}"


def _security(case: Case, findings: Findings) -> str:
    own = {node.name: case.readings.node(node.name, "self") for node in case.answering()}
    for name, answer in own.items():
        if answer.denied:
            findings.open(f"{name} does not show its settings: permission denied ({answer.url})", name)
    shown = {name: answer for name, answer in own.items() if answer.good}
    if not shown:
        findings.open("no node shows its settings")
    encrypted = {name: str(stat(answer, "serf_lan", "encrypted")) for name, answer in shown.items()}
    servers = {name: answer for name, answer in shown.items() if name in case.server_names}
    _same(findings, "settings for encrypted gossip", encrypted)
    _same(findings, "settings for ACLs", {name: str(stat(answer, "consul", "acl")) for name, answer in servers.items()})
    _same(findings, "settings for TLS", {name: _tls(answer) for name, answer in servers.items()})
    gossip = "true" in encrypted.values()
    if gossip:
        _keyring(case, findings)
    acls = ", ".join({str(stat(answer, "consul", "acl")) for answer in servers.values()}) or "unknown"
    return f"Gossip is {'encrypted with one key' if gossip else 'not encrypted'}, ACLs are {acls}, and all nodes agree."


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


Check = t.Callable[[Case, Findings], str]

# Each rule's check, what to do when it fails, and the permissions that it needs.
RULES: dict[str, tuple[Check, str, str]] = {
    "servers": (_servers, "Start the servers that are missing, and see their logs and the network between them.", "agent:read and node:read"),
    "leader": (_leader, "Start servers until more than half are up, and see why they cannot elect one of them.", "no rights at all"),
    "raft_peers": (
        _raft_peers,
        "Wait two minutes, as addresses mend themselves; then remove dead peers with `consul operator raft remove-peer`.",
        "operator:read",
    ),
    "autopilot": (_autopilot, "Bring back the servers that autopilot lacks or finds unhealthy.", "operator:read"),
    "replication": (_replication, "See disk and network of the servers that trail behind.", "agent:read"),
    "write": (_write, "Bring back more than half of the servers.", "key:write on _health/"),
    "members": (
        _members,
        "Start the nodes that are missing, bring all to one release, and forget nodes that are gone for good with `consul force-leave`.",
        "agent:read and node:read",
    ),
    "catalog": (_catalog, "Nodes mend the catalog within a minute; else see their logs for refused registrations.", "node:read"),
    "dns": (_dns, "See that DNS is reached, and that the agent's own token may read nodes and services.", "node:read and service:read"),
    "checks": (_checks, "See the services of the critical checks, or raise allowed_critical.", "node:read and service:read"),
    "security": (_security, "Give all nodes the same settings, and finish the change of gossip keys with `consul keyring`.", "agent:read and keyring:read"),
}


def _nodes(case: Case) -> list[Json]:
    view, raft = case.view(), {str(server.get("Node")): server for server in case.raft_servers()}
    reached = {node.name for node in case.answering()}
    return [
        {
            "name": node.name,
            "role": _role(node),
            "address": view.get(node.name, {}).get("Addr") or node.address,
            "state": _state(view[node.name]) if node.name in view else ("missing" if view else "unknown"),
            "http": node.name in reached if node.name in case.readings.nodes else None,
            "version": _build(view[node.name]) if node.name in view else None,
            "voter": bool(raft.get(node.name, {}).get("Voter")) if raft else None,
        }
        for node in case.expected
    ]


def _role(node: Expected) -> str:
    return "server" if node.server else "client"


def _tags(member: Json) -> Json:
    return member.get("Tags") or {}


def _state(member: Json) -> str:
    return STATES.get(t.cast(int, member.get("Status")), "unknown")


def _build(member: Json) -> str:
    return str(_tags(member).get("build", "")).partition(":")[0]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _rpc_address(member: Json) -> str:
    return f"{_bracketed(str(member.get('Addr')))}:{_tags(member).get('port', 8300)}"


def _listed(answer: Answer, key: str) -> list[Json]:
    """A list in an answer; Consul writes an empty one as null."""
    return (answer.data.get(key) or []) if isinstance(answer.data, dict) else []


def _peer_set(servers: list[Json]) -> set[tuple[t.Any, ...]]:
    return {(server.get("ID"), server.get("Address"), server.get("Voter")) for server in servers}


def _external(node: Json) -> bool:
    """A node that something else than an agent registered, which is never a member."""
    return bool({"external-node", "external-source", "synthetic-node"} & set(node.get("Meta") or {}))


def _tls(answer: Answer) -> str:
    """Which sides are verified, as old (flat) and new (nested) releases show it."""
    debug = answer.data.get("DebugConfig") or {}
    rpc = (debug.get("TLS") or {}).get("InternalRPC") or debug
    flags = {key: rpc.get(key) for key in ("VerifyIncoming", "VerifyOutgoing", "VerifyServerHostname")}
    return ", ".join(key for key, value in flags.items() if value) or "unverified"


def _repeated(values: t.Iterable[t.Any]) -> list[str]:
    return [str(value) for value, count in Counter(value for value in values if value).items() if count > 1]


def _seconds(moment: t.Any) -> float | None:
    """`2026-01-01T10:00:00Z` in seconds since 1970."""
    try:
        return datetime.strptime(str(moment)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _more(texts: list[str]) -> str:
    first = f"{texts[0][:1].upper()}{texts[0][1:]}" if texts[0][:2] in {"a ", "no"} else texts[0]
    return f"{first}." if len(texts) == 1 else f"{first}, and {len(texts) - 1} more."
