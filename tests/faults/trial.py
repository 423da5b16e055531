# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One fault or change: the nodes under load and watched, before, while and after it happens, and what is found in the end."""

from __future__ import annotations

import pathlib
import time
import typing as t
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from . import site
from .checker import check
from .history import History
from .watcher import Period, Repeated, broken_periods, health, lies, observe, slow
from .workload import Workload

# How long the load runs alone, before and after.
QUIET = 0.5

# After a fault addresses and voters may take so long to mend themselves.
PATIENCE = 180

# What takes effect a moment after the command that does it has ended.
GRACE = 0.3


@dataclass
class Trial:
    """What a fault tells of itself while it happens."""

    periods: list[Period] = field(default_factory=list)

    @contextmanager
    def broken(self, why: str, grace: float = GRACE) -> t.Iterator[None]:
        """While this lasts something is broken, and after the grace Consul's nodes know it, so nobody may call them healthy."""
        begun = time.monotonic()
        yield
        self.periods.append(Period(begun + grace, time.monotonic(), why))


@dataclass(frozen=True)
class Limits:
    """Seconds: between two writes that are acknowledged, from the beginning until nodes are not called healthy, from the end until they are.

    None where they may be called healthy all the time.
    """

    without_writes: float
    degraded: float | None
    healthy: float


@dataclass(frozen=True)
class Fault:
    """What happens, how much of it may be felt, and what has to be made ready for it and put away after it."""

    happens: t.Callable[[Trial], None]
    limits: Limits
    around: t.Callable[[], t.ContextManager[None]] = nullcontext


@dataclass
class Result:
    """A row of the table, and what is wrong."""

    name: str
    lasted: float
    without_writes: float
    operations: int
    failed: int
    failed_again: int
    lost: int
    degraded: float | None
    # Seconds from the moment at which one of Consul's nodes first said so; 0 when the health check was faster.
    after_consul: float | None
    healthy: float
    wrong: list[str]


def run(name: str, fault: Fault, folder: pathlib.Path) -> tuple[Result, Workload]:
    """Let a fault happen. It begins and ends with nodes that are healthy."""
    trial = Trial()
    with fault.around(), Repeated(health) as watcher, Repeated(observe) as observer:
        workload = Workload([site.agent(node) for node in site.NODES], f"faults/{name.replace(' ', '-')}-{time.time():.0f}")
        site.until(f"healthy before {name}", lambda: watcher.good_since(0, 2), PATIENCE)
        with workload:
            time.sleep(QUIET)
            begun = time.monotonic()
            fault.happens(trial)
            ended = time.monotonic()
            site.until(f"healthy after {name}", lambda: watcher.good_since(ended, 3) and observer.good_since(ended, 3), PATIENCE)
            time.sleep(QUIET)
    workload.history.save(folder / f"{name.replace(' ', '-')}.jsonl")
    result = result_of(name, (begun, ended), workload.history, watcher, observer, trial.periods)
    result.wrong += beyond(result, fault.limits)
    return result, workload


def beyond(result: Result, limits: Limits) -> list[str]:
    """What lasted longer than it may."""
    wrong = []
    if result.without_writes > limits.without_writes:
        wrong.append(f"{result.without_writes:.1f} s without writes, not {limits.without_writes:g}")
    if limits.degraded is not None and (result.degraded is None or result.degraded > limits.degraded):
        told = "never" if result.degraded is None else f"only after {result.degraded:.1f} s"
        wrong.append(f"not called healthy any more {told}, not within {limits.degraded:g} s")
    if result.healthy > limits.healthy:
        wrong.append(f"healthy {result.healthy:.1f} s after its end, not {limits.healthy:g}")
    return wrong


def result_of(name: str, when: tuple[float, float], history: History, watcher: Repeated, observer: Repeated, periods: list[Period]) -> Result:
    begun, ended = when
    periods = [*periods, *broken_periods(observer.readings)]
    findings = check(history.operations)
    bad = [reading.ended for reading in watcher.readings if not reading.good and reading.ended > begun]
    good = [reading.ended for reading in watcher.readings if reading.good and reading.ended > max([ended, *bad])]
    known = [reading.answer.known for reading in observer.readings if reading.answer.known and reading.answer.known > begun]
    return Result(
        name=name,
        lasted=ended - begun,
        without_writes=history.longest_gap(begun, time.monotonic()),
        operations=sum(not operation.is_repeated for operation in history.operations),
        failed=sum(operation.failures > 0 for operation in history.operations if not operation.is_repeated),
        failed_again=sum(operation.failures > 1 for operation in history.operations if not operation.is_repeated),
        lost=len(findings.lost) + len(findings.doubled) + len(findings.ghosts) + len(findings.stale),
        degraded=bad[0] - begun if bad else None,
        after_consul=max(0.0, bad[0] - known[0]) if bad and known else None,
        healthy=max(0.0, good[0] - ended),
        wrong=findings.all + lies(watcher.readings, periods) + slow(watcher.readings),
    )


def still_there(workloads: t.Iterable[Workload]) -> list[str]:
    """What an earlier fault's keys lost later."""
    wrong = []
    for workload in workloads:
        workload.read_all()
        wrong += check(workload.history.operations).all
    return wrong


HEADINGS = [
    "fault or change",
    "lasted s",
    "without writes s",
    "operations",
    "failed",
    "failed again",
    "lost",
    "not healthy after s",
    "after Consul knew s",
    "healthy after its end s",
]


def table(results: list[Result]) -> str:
    """For people, and for a page of the documentation."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows)


def _row(result: Result) -> list[str]:
    seconds = [f"{number:.1f}" for number in (result.lasted, result.without_writes)]
    counts = [str(number) for number in (result.operations, result.failed, result.failed_again, result.lost)]
    told = ["never" if moment is None else f"{moment:.1f}" for moment in (result.degraded, result.after_consul)]
    return [result.name, *seconds, *counts, *told, f"{result.healthy:.1f}"]
