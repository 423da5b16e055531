# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writers and readers: what applications would do, all through the HTTP interface of the nodes, every outcome written down."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import typing as t
from base64 import b64decode
from dataclasses import dataclass

from .history import MAYBE, NO, OK, History, Operation, Value

# A client that waits longer would make outages look longer than they are.
TIMEOUT = 2.0
# Often enough to meet every moment without a leader; more would only slow down what is tried, on a small machine.
PAUSE = 0.1
LONGEST_LIST = 200

# Where a write that failed is certain not to have happened: refused for want of a leader, or of rights that nobody could look up.
CERTAIN = ("No cluster leader", "ACL not found", "Permission denied")


class FailedError(Exception):
    """No answer of use. `certain` is whether nothing happened."""

    def __init__(self, reason: str, certain: bool) -> None:
        super().__init__(reason)
        self.certain = certain


@dataclass(frozen=True)
class Agent:
    """One node's HTTP interface. Each call has a connection of its own, so that one that is refused was certainly not sent."""

    name: str
    host: str
    port: int
    token: str

    def call(self, method: str, path: str, body: str | None = None, timeout: float = TIMEOUT) -> t.Any:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.connect()
        except OSError as exc:
            raise FailedError(f"{self.name}: {exc}", certain=True) from exc
        try:
            connection.request(method, path, body, {"X-Consul-Token": self.token})
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as exc:
            raise FailedError(f"{self.name}: {exc!r}", certain=False) from exc
        finally:
            connection.close()
        if response.status not in {200, 404}:
            raise FailedError(f"{self.name}: {response.status} {text}", certain=any(words in text for words in CERTAIN))
        return json.loads(text) if response.status == 200 else None

    def read(self, key: str) -> tuple[t.Any, int]:
        """The value, and the index to compare with."""
        found = self.call("GET", f"/v1/kv/{key}?consistent")
        return (json.loads(b64decode(found[0]["Value"])), int(found[0]["ModifyIndex"])) if found else (None, 0)

    def compare_and_set(self, key: str, value: t.Any, index: int) -> bool:
        return bool(self.call("PUT", f"/v1/kv/{key}?cas={index}", json.dumps(value)))


@dataclass(frozen=True)
class Pair:
    """An agent, and the one that is asked when it fails, once."""

    first: Agent
    second: Agent

    def read(self, history: History, key: str) -> tuple[Value, int] | None:
        """Each attempt is logged by itself: what the second agent shows is judged by what was known when it was asked, not the first."""
        for failures, agent in enumerate((self.first, self.second)):
            begun = time.monotonic()
            try:
                found, index = agent.read(key)
            except FailedError:
                history.add(Operation("read", key, NO, begun, time.monotonic(), None, (agent.name,), failures + 1, agent is not self.second))
                continue
            value: Value = (0 if "counter" in key else ()) if found is None else tuple(found) if isinstance(found, list) else found
            history.add(Operation("read", key, OK, begun, time.monotonic(), value, (agent.name,), failures))
            return value, index
        return None

    def write(self, history: History, kind: str, key: str, step: int, value: t.Any, index: int) -> str:
        """A retry cannot write twice: the index moves with the first. So one that is acknowledged is acknowledged for both,
        and one that is told that somebody was faster may have been overtaken by its own first attempt."""
        begun = time.monotonic()
        agents: list[str] = []
        outcome, failures = NO, 0
        for agent in (self.first, self.second):
            agents.append(agent.name)
            try:
                outcome = OK if agent.compare_and_set(key, value, index) else outcome
                break
            except FailedError as exc:
                failures += 1
                outcome = outcome if exc.certain else MAYBE
        history.add(Operation(kind, key, outcome, begun, time.monotonic(), step, tuple(agents), failures))
        return outcome


class Workload:
    """Two writers for a counter, two for a list, one reader for both; each at home at another agent."""

    def __init__(self, agents: list[Agent], prefix: str) -> None:
        self.history = History()
        self._prefix = prefix
        self._stop = threading.Event()
        self._steps = itertools.count(1)
        self._lists = 0
        pairs = [Pair(agents[number % len(agents)], agents[(number + 1) % len(agents)]) for number in range(5)]
        jobs = [(self._count, pairs[0]), (self._count, pairs[2]), (self._append, pairs[1]), (self._append, pairs[3]), (self._look, pairs[4])]
        self._threads = [threading.Thread(target=self._loop, args=job, daemon=True) for job in jobs]
        self._last = pairs[-2]

    def __enter__(self) -> Workload:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop, and read what is there in the end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.read_all()

    def read_all(self) -> None:
        for key in self.keys():
            self._last.read(self.history, key)

    def keys(self) -> list[str]:
        return [f"{self._prefix}/counter", *(f"{self._prefix}/list-{number}" for number in range(self._lists + 1))]

    def _loop(self, job: t.Callable[[Pair], None], pair: Pair) -> None:
        while not self._stop.wait(PAUSE):
            job(pair)

    def _count(self, pair: Pair) -> None:
        key = f"{self._prefix}/counter"
        found = pair.read(self.history, key)
        if found is not None:
            total = t.cast(int, found[0]) + 1
            pair.write(self.history, "add", key, total, total, found[1])

    def _append(self, pair: Pair) -> None:
        number = self._lists
        key = f"{self._prefix}/list-{number}"
        found = pair.read(self.history, key)
        if found is None:
            return
        elements, step = t.cast("tuple[int, ...]", found[0]), next(self._steps)
        if len(elements) >= LONGEST_LIST:
            self._lists = max(self._lists, number + 1)
        else:
            pair.write(self.history, "append", key, step, [*elements, step], found[1])

    def _look(self, pair: Pair) -> None:
        counter, *lists = self.keys()
        for key in (counter, lists[-1]):
            pair.read(self.history, key)
