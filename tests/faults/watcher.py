# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the health check says all the time, and an observer of its own that knows when it must not say healthy.

The observer asks Consul's nodes directly, and calls a moment broken when one of them does not answer or does not have the others
as they should be. A fault adds the periods in which it is certain that something is broken, whatever Consul knows of it. The
health check lies when it says healthy and there was no moment during its reading at which nothing was broken.
"""

from __future__ import annotations

import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul.health import check
from ansible_collections.discovery.consul.plugins.modules.consul_cluster_health import ARGUMENTS

from . import site
from .workload import FailedError

PAUSE = 0.2
REQUEST_TIMEOUT = 10.0

# What a reading may take on top of its request timeout: its threads have to be started and joined on a busy machine.
MARGIN = 1.0

PARAMETERS: dict[str, t.Any] = {
    **{name: option.get("default") for name, option in ARGUMENTS.items()},
    "servers": [node.expected for node in site.SERVERS],
    "clients": [site.CLIENT.expected],
    "datacenter": "dc1",
    "request_timeout": REQUEST_TIMEOUT,
    # A tunnel carries no UDP, and DNS has to answer over both.
    "skip_rules": ["dns"] if site.TUNNEL else [],
}


@dataclass(frozen=True)
class Answer:
    """Of the health check (`words` are the rules that are not met) or of the observer (what is broken)."""

    good: bool
    words: str = ""
    # When a node said what is broken, if any did: that a node does not answer is not known to Consul yet.
    known: float | None = None


@dataclass(frozen=True)
class Reading:
    """An answer, and when it was asked for and given."""

    begun: float
    ended: float
    answer: Answer

    @property
    def good(self) -> bool:
        return self.answer.good


@dataclass
class Repeated:
    """Asks the same question again and again, in a thread, and keeps the answers."""

    ask: t.Callable[[], Answer]
    readings: list[Reading] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Repeated:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            self.ask_once()
            self._stop.wait(PAUSE)

    def ask_once(self) -> None:
        begun = time.monotonic()
        answer = self.ask()
        self.readings.append(Reading(begun, time.monotonic(), answer))

    def good_since(self, moment: float, times: int) -> bool:
        """Whether the last answers, all asked for after the moment, are good."""
        last = self.readings[-times:]
        return len(last) == times and all(one.good and one.begun > moment for one in last)


def health() -> Answer:
    result = check({**PARAMETERS, "token": site.secret("health")}, False)
    return Answer(result["verdict"] == "healthy", f"{result['verdict']}: {', '.join(result['failed_rules'])}")


def observe() -> Answer:
    """Whether each node has the others as they should be."""
    with ThreadPoolExecutor(len(site.NODES)) as pool:
        views = list(pool.map(_view, site.NODES))
    leaders = {view.leader for view in views if view.leader}
    if len(leaders) > 1:
        views.append(View(f"leaders {leaders}", known=time.monotonic()))
    known = [view.known for view in views if view.known]
    return Answer(not any(view.trouble for view in views), "; ".join(view.trouble for view in views if view.trouble), min(known, default=None))


@dataclass(frozen=True)
class View:
    """What is broken as a node sees it, since when it is known to say so, and whom it names as the leader."""

    trouble: str = ""
    leader: str = ""
    known: float | None = None


def _view(node: site.Node) -> View:
    agent = site.agent(node)
    try:
        alive = {member["Name"]: member["Addr"] for member in agent.call("GET", "/v1/agent/members") if member["Status"] == 1}
        leader = str(agent.call("GET", "/v1/status/leader"))
        raft = agent.call("GET", "/v1/operator/raft/configuration?stale") if node.server else None
    except FailedError as exc:
        return View(str(exc))
    voters = {(peer["Node"], peer["Address"]) for peer in raft["Servers"] if peer["Voter"]} if raft else None
    trouble = ""
    if alive != {one.name: one.address for one in site.NODES}:
        trouble = f"{node.name} sees {alive}"
    elif leader not in {f"{one.address}:8300" for one in site.SERVERS}:
        trouble = f"{node.name} has the leader {leader!r}"
    elif voters not in (None, {(one.name, f"{one.address}:8300") for one in site.SERVERS}):
        trouble = f"{node.name} has the voters {voters}"
    return View(trouble, leader, time.monotonic() if trouble else None)


@dataclass(frozen=True)
class Period:
    """A time during which something is broken for certain."""

    begun: float
    ended: float
    why: str


def broken_periods(observed: list[Reading]) -> list[Period]:
    """Some broken moments in a row. What a reading shows was so at some time in it: certain is only what lies between two."""
    periods: list[Period] = []
    row: list[Reading] = []
    for reading in [*observed, Reading(0, 0, Answer(good=True))]:
        if not reading.good:
            row.append(reading)
        elif row:
            periods.append(Period(row[0].ended, row[-1].begun, row[0].answer.words))
            row = []
    return periods


def lies(readings: list[Reading], periods: list[Period]) -> list[str]:
    """Answers `healthy` that began and ended while something was broken."""
    return [
        f"healthy from {one.begun:.2f} to {one.ended:.2f}, while broken from {period.begun:.2f} to {period.ended:.2f}: {period.why}"
        for one in readings
        for period in periods
        if one.good and period.begun <= one.begun and one.ended <= period.ended
    ]


def slow(readings: list[Reading]) -> list[str]:
    """Answers that took longer than they may."""
    return [f"{one.ended - one.begun:.1f} s for {one.answer.words}" for one in readings if one.ended - one.begun > REQUEST_TIMEOUT + MARGIN]
