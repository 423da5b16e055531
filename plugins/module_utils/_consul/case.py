# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A reading beside what is expected, and what a rule finds in it. Nothing is asked here."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import Expected, Readings, number, stat

Json = t.Dict[str, t.Any]
View = t.Dict[str, Json]

ALIVE, LEFT = 1, 3
STATES = {1: "alive", 2: "leaving", 3: "left", 4: "failed"}


@dataclass(frozen=True)
class Limits:
    """What is still good enough."""

    datacenter: str | None = None
    allowed_critical: int = 0
    stable_for: float = 0
    max_trailing_logs: int = 250
    allow_version_skew: bool = False
    skip: t.FrozenSet[str] = frozenset()
    accept_unknown: t.FrozenSet[str] = frozenset()
    write: bool = True
    service_checks: bool = False
    """Whether a critical check of an application counts, or is only reported."""
    gossip_keys: bool = False
    """Whether the members are asked for their gossip keys, which takes the right to read the keys themselves."""


@dataclass
class Rule:
    """One rule's result: `ok` is None when it is left open."""

    name: str
    ok: bool | None
    summary: str
    evidence: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    remedy: str = ""


class Findings:
    """What speaks against a rule, and what leaves it open."""

    def __init__(self) -> None:
        self.wrong_texts: list[str] = []
        self.open_texts: list[str] = []
        self.nodes: list[str] = []
        self.reported: list[str] = []

    def report(self, text: str) -> None:
        """Something worth knowing that speaks neither for nor against the rule."""
        self.reported.append(text)

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

    def same(self, what: str, values: dict[str, str]) -> None:
        """All members have to have the same value."""
        if len(set(values.values())) > 1:
            usual = Counter(values.values()).most_common(1)[0][0]
            others = {name: value for name, value in values.items() if value != usual}
            self.wrong(f"the members have different {what}: {', '.join(f'{name} {value}' for name, value in others.items())}, the others {usual}", *others)

    def rule(self, name: str, good: str, remedy: str, permission: str) -> Rule:
        if self.wrong_texts:
            return Rule(name, False, _more(self.wrong_texts), self.wrong_texts + self.open_texts + self.reported, self.nodes, remedy)
        if self.open_texts:
            return Rule(name, None, _more(self.open_texts), self.open_texts + self.reported, self.nodes, f"Give a token with {permission}, or skip the rule.")
        return Rule(name, True, good, self.reported)

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
                if rpc_address(member) == address and member.get("Status") != LEFT:
                    return name
        return next((node.name for node in self.servers if node.address and f"{bracketed(node.address)}:8300" == address), None)

    def raft_servers(self) -> list[Json]:
        return listed(self.readings.of_cluster("raft"), "Servers")

    def autopilot_servers(self) -> list[Json]:
        return listed(self.readings.of_cluster("autopilot"), "Servers")

    def address_of(self, node: Expected) -> str | None:
        return node.address or self.view().get(node.name, {}).get("Addr")

    def leader_bound(self) -> list[Answer]:
        """Answers that only a leader can give."""
        return [self.readings.of_cluster(name) for name in ("raft", "autopilot", "catalog", "write") if name in self.readings.cluster]

    def proven(self) -> bool:
        """Whether a leader answered something. An autopilot that finds the cluster unhealthy (429) is a leader's answer, too."""
        return any(answer.good or answer.status == 429 for answer in self.leader_bound())

    def led(self) -> bool:
        """Whether there is a leader that most name and that nothing speaks against."""
        return self.leader_address() is not None and not self.against_leader()

    def against_leader(self) -> str | None:
        """Nodes go on naming a leader for seconds after it died, so the one they name has to give a sign of life."""
        if self.proven():
            return None
        refused = all(answer.denied for answer in self.leader_bound())
        return None if refused else f"{self.leader_address()} is still named, but nothing that needs a leader is answered"


def role_of(node: Expected) -> str:
    return "server" if node.server else "client"


def tags_of(member: Json) -> Json:
    return member.get("Tags") or {}


def state_of(member: Json) -> str:
    return STATES.get(t.cast(int, member.get("Status")), "unknown")


def build_of(member: Json) -> str:
    return str(tags_of(member).get("build", "")).partition(":")[0]


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def rpc_address(member: Json) -> str:
    return f"{bracketed(str(member.get('Addr')))}:{tags_of(member).get('port', 8300)}"


def listed(answer: Answer, key: str) -> list[Json]:
    """A list in an answer; Consul writes an empty one as null."""
    return (answer.data.get(key) or []) if isinstance(answer.data, dict) else []


def repeated(values: t.Iterable[t.Any]) -> list[str]:
    return [str(value) for value, count in Counter(value for value in values if value).items() if count > 1]


def _more(texts: list[str]) -> str:
    first = f"{texts[0][:1].upper()}{texts[0][1:]}" if texts[0][:2] in {"a ", "no"} else texts[0]
    return f"{first}." if len(texts) == 1 else f"{first}, and {len(texts) - 1} more."
