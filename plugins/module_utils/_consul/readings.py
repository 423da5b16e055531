# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""One reading of a cluster: what its nodes say at about the same time. Nothing is judged here.

Consul keeps a call that needs a leader for 7 seconds when there is none. So all calls go side by side, and what has not
answered at the deadline is an answer, too.
"""

from __future__ import annotations

import queue
import threading
import time
import typing as t
import uuid
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, Client, ConsulError

Ask = t.Callable[[], Answer]
Connect = t.Callable[[str], Client]
Lookup = t.Callable[[str, str], Answer]

NOT_ASKED = Answer(error="not asked over DNS, as its HTTP API does not answer")

# The part of a reading's time that is waited for nodes to speak for themselves. One that has not done so by then hangs, and the
# gossip keys wait for it, too: Consul gives members that it believes alive 8 s to show theirs.
FIRST_LOOK = 0.3

# How long answers are waited for in seconds before it is looked whether the leader is still there, again and again.
GLANCE = 0.5

# A follower's commit index follows with the next heartbeat, 1 s at most with the slowest timers.
SETTLE_READS = 20
SETTLE_PAUSE = 0.1

# The group of the question that no other answer waits for.
KEYRING = "keyring"

# Nodes answer for the gossip keys at once. Where two checks ask one server at the same moment, Consul mixes up whose answers they
# are, and one of the two waits in vain; an answer that got lost on its way is waited for as well. So it is asked again.
KEYRING_TRIES = 4
KEYRING_PAUSE = 0.6

# Where a failed write says that nothing was written.
NOT_WRITTEN = "No cluster leader"


@dataclass(frozen=True)
class Expected:
    """A node that should be there. `http` and `dns` are where its interfaces are reached; without `http` others speak for it."""

    name: str
    server: bool
    address: str | None = None
    http: str | None = None
    dns: str | None = None


@dataclass
class Readings:
    """What was answered: by each node for itself, and through one of them (`via`) for the cluster."""

    nodes: dict[str, dict[str, Answer]] = field(default_factory=dict)
    via: str | None = None
    cluster: dict[str, Answer] = field(default_factory=dict)
    dns: dict[str, dict[str, Answer]] = field(default_factory=dict)

    def node(self, name: str, question: str) -> Answer:
        return self.nodes.get(name, {}).get(question) or Answer(error="it was not asked")

    def of_cluster(self, question: str) -> Answer:
        return self.cluster.get(question) or Answer(error="no node answered that could be asked")


class Crew:
    """Questions under way, a thread for each. One that hangs holds nobody up: at the deadline it is left to itself."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._answers: dict[tuple[str, str], Answer] = {}
        self._keys: list[tuple[str, str]] = []
        self._threads: list[tuple[str, threading.Thread]] = []

    def ask(self, group: str, questions: dict[str, Ask]) -> None:
        """Ask one after the other, in a thread. After one without any answer the rest would be without, too."""
        self._keys += [(group, name) for name in questions]
        thread = threading.Thread(target=self._work, args=(group, questions), daemon=True)
        self._threads.append((group, thread))
        thread.start()

    def wait(self, deadline: float, leave_out: t.Collection[str] = ()) -> bool:
        """Whether all have answered by then."""
        waited_for = [thread for group, thread in self._threads if group not in leave_out]
        for thread in waited_for:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in waited_for)

    def answers(self) -> dict[tuple[str, str], Answer]:
        late = Answer(error=f"no answer within {time.monotonic() - self._begun:.0f} s")
        done = dict(self._answers)
        return {key: done.get(key, late) for key in self._keys}

    def _work(self, group: str, questions: dict[str, Ask]) -> None:
        failed: Answer | None = None
        for name, question in questions.items():
            answer = failed or _caught(question)
            failed = answer if answer.status is None else None
            self._answers[group, name] = answer


@dataclass(frozen=True)
class Reader:
    """Takes readings of the nodes that are expected. `write` is whether the write probe is allowed, `gossip_keys` whether keys are asked for."""

    expected: t.Sequence[Expected]
    connect: Connect
    lookup: Lookup
    write: bool = True
    gossip_keys: bool = False
    budget: float = 10

    def read(self) -> Readings:
        """One reading, which lasts no longer than the budget."""
        begun = time.monotonic()
        crew = Crew()
        for node in self.expected:
            if node.http:
                crew.ask(f"node {node.name}", self._questions(node))
        # What a node says of itself comes at once, or the node hangs: then the others go on without it.
        first_look = begun + self.budget * FIRST_LOOK
        crew.wait(first_look)
        readings = self._sorted(crew)
        readings.via = self._spokesman(readings)
        self._ask_dns(crew, readings)
        if readings.via is not None:
            self._ask_cluster(crew, readings)
        self._wait(crew, readings, begun + self.budget)
        crew.wait(first_look)
        return self._sorted(crew, readings.via)

    def _wait(self, crew: Crew, readings: Readings, deadline: float) -> None:
        """Until all have answered who do not hang, or the leader is lost: what it was asked may well come to nothing."""
        leave_out = {KEYRING, *(f"node {node.name}" for node in self.expected if _silent(readings, node))}
        while not crew.wait(min(deadline, time.monotonic() + GLANCE), leave_out):
            if time.monotonic() >= deadline or self._leader_lost(readings):
                return

    def _leader_lost(self, readings: Readings) -> bool:
        """Whether a server that followed the leader when it was first asked follows it no more. Servers know that by themselves."""
        leader = readings.node(str(readings.via), "leader").data
        glance = Crew()
        for node in self.expected:
            if leader and node.server and node.http and readings.node(node.name, "leader").data == leader:
                glance.ask(node.name, {"leader": _job(self.connect(node.http), "/v1/status/leader")})
        glance.wait(time.monotonic() + GLANCE)
        return any(answer.good and answer.data != leader for answer in glance.answers().values())

    def _ask_dns(self, crew: Crew, readings: Readings) -> None:
        """A node whose HTTP API is silent is not asked over DNS: a datagram to it would be waited for in vain."""
        for node in self.expected:
            for transport in ("udp", "tcp") if node.dns else ():
                question = (lambda: NOT_ASKED) if _silent(readings, node) else self._lookup(str(node.dns), transport)
                crew.ask(f"dns {node.name}", {transport: question})

    def _questions(self, node: Expected) -> dict[str, Ask]:
        client = self.connect(str(node.http))
        questions = {"self": _job(client, "/v1/agent/self"), "members": _job(client, "/v1/agent/members")}
        if node.server:
            questions["raft"] = _job(client, "/v1/operator/raft/configuration", stale="")
        # The last, as a client that finds no server needs 7 s for it.
        return {**questions, "leader": _job(client, "/v1/status/leader")}

    def _lookup(self, endpoint: str, transport: str) -> Ask:
        return lambda: self.lookup(endpoint, transport)

    def _spokesman(self, readings: Readings) -> str | None:
        """The node to ask for the cluster: a server that follows the leader that most name, else any that answers."""
        named = {node.name: readings.node(node.name, "leader") for node in self.expected if readings.node(node.name, "leader").good}
        votes = Counter(answer.data for answer in named.values() if answer.data)
        leader = votes.most_common(1)[0][0] if votes else None
        answering = [node for node in self.expected if node.name in named]
        return min(answering, key=lambda node: (named[node.name].data != leader, not node.server)).name if answering else None

    def _ask_cluster(self, crew: Crew, readings: Readings) -> None:
        """Each question in a thread of its own: without a leader each takes 7 s."""
        urls = {node.name: str(node.http) for node in self.expected}
        via = urls[str(readings.via)]
        crew.ask("cluster", {"raft": _job(self.connect(via), "/v1/operator/raft/configuration")})
        crew.ask("cluster", {"autopilot": _job(self.connect(via), "/v1/operator/autopilot/health")})
        crew.ask("cluster", {"catalog": _job(self.connect(via), "/v1/catalog/nodes", consistent="")})
        crew.ask("cluster", {"checks": _job(self.connect(via), "/v1/health/state/any", consistent="")})
        crew.ask("cluster", {"services": _job(self.connect(via), "/v1/catalog/services")})
        if self.gossip_keys and _encrypted(readings):
            crew.ask(KEYRING, {"keyring": lambda: _first_answer(lambda: self.connect(via).get("/v1/operator/keyring"))})
        for name, last in _unsettled(readings).items():
            crew.ask(f"node {name}", {"settled": _settle_job(self.connect(urls[name]), last)})
        if self.write:
            writer, reader = self.connect(via), self.connect(urls[self._other(readings)])
            crew.ask("cluster", {"write": lambda: write_probe(writer, reader)})

    def _other(self, readings: Readings) -> str:
        """A node other than the spokesman to read from what was written, if there is one that follows the same leader."""
        leader = readings.node(str(readings.via), "leader").data
        answers = {node.name: readings.node(node.name, "leader") for node in self.expected if node.name != readings.via}
        others = [node for node in self.expected if node.name in answers and answers[node.name].good and answers[node.name].data == leader]
        return min(others, key=lambda node: not node.server).name if others else str(readings.via)

    @staticmethod
    def _sorted(crew: Crew, via: str | None = None) -> Readings:
        readings = Readings(via=via)
        for (group, name), answer in crew.answers().items():
            kind, _space, node = group.partition(" ")
            if kind == "node":
                readings.nodes.setdefault(node, {})[name] = answer
            elif kind == "dns":
                readings.dns.setdefault(node, {})[name] = answer
            else:
                readings.cluster[name] = answer
        return readings


def write_probe(writer: Client, reader: Client) -> Answer:
    """Write a key of its own, read it elsewhere, remove it. Status 200 means that all three went well, in `data` seconds."""
    path = f"/v1/kv/_health/{uuid.uuid4()}"
    begun = time.monotonic()
    written = _caught(lambda: writer.put(path, path))
    if written.denied or NOT_WRITTEN in str(written.data):
        return written
    try:
        read = _read_back(reader, path) if written.good else written
    finally:
        # It may have been written even when the answer was an error.
        removed = _caught(lambda: writer.delete(path))
    failed = next((answer for answer in (read, removed) if not answer.good), None)
    return failed or Answer(url=written.url, status=200, data=round(time.monotonic() - begun, 3))


def _read_back(reader: Client, path: str) -> Answer:
    read = _caught(lambda: reader.get(path, consistent=""))
    if read.good and _value(read.data) != path:
        return Answer(url=read.url, error="what was written could not be read back")
    return read


def _value(data: t.Any) -> str | None:
    try:
        return b64decode(data[0]["Value"]).decode()
    except (TypeError, ValueError, LookupError):
        return None


def _job(client: Client, path: str, **params: str) -> Ask:
    return lambda: client.get(path, **params)


def _first_answer(ask: Ask) -> Answer:
    """Ask again and again while there is no answer, and take the first that comes."""
    answers: queue.Queue[Answer] = queue.Queue()
    for _time in range(KEYRING_TRIES):
        threading.Thread(target=lambda: answers.put(_caught(ask)), daemon=True).start()
        try:
            return answers.get(timeout=KEYRING_PAUSE)
        except queue.Empty:
            continue
    return answers.get()


def _caught(ask: Ask) -> Answer:
    try:
        return ask()
    except ConsulError as exc:
        return Answer(url=exc.url, error=exc.evidence)
    except Exception as exc:  # a thread's exception would be nobody's
        return Answer(error=f"{type(exc).__name__}: {exc}")


def _silent(readings: Readings, node: Expected) -> bool:
    return bool(node.http) and readings.node(node.name, "self").status is None


def _encrypted(readings: Readings) -> bool:
    return any(stat(readings.node(name, "self"), "serf_lan", "encrypted") == "true" for name in readings.nodes)


def _unsettled(readings: Readings) -> dict[str, int]:
    """Servers with log entries that were not committed yet, and the last of them. Normal for a moment after each write."""
    last = {name: committed(readings.node(name, "self")) for name in readings.nodes}
    return {name: indexes[1] for name, indexes in last.items() if indexes and indexes[0] < indexes[1]}


def _settle_job(client: Client, last: int) -> Ask:
    """Ask again until what was in the log is committed; a follower hears of it with the leader's next heartbeat."""

    def settle() -> Answer:
        answer = client.get("/v1/agent/self")
        for _attempt in range(SETTLE_READS):
            if (committed(answer) or (last, last))[0] >= last:
                break
            time.sleep(SETTLE_PAUSE)
            answer = client.get("/v1/agent/self")
        return answer

    return settle


def committed(answer: Answer) -> tuple[int, int] | None:
    """The index up to which a server's log is committed, and the last index in it."""
    commit, last = (number(stat(answer, "raft", key)) for key in ("commit_index", "last_log_index"))
    return None if commit is None or last is None else (commit, last)


def stat(answer: Answer, group: str, key: str) -> t.Any:
    """One of the `Stats` of `/v1/agent/self`, or None."""
    data = answer.data if answer.good and isinstance(answer.data, dict) else {}
    stats = (data.get("Stats") or {}).get(group) or {}
    return stats.get(key)


def number(text: t.Any) -> int | None:
    """Consul gives the numbers of its `Stats` as text."""
    return int(text) if str(text).isdigit() else None
