# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what the registry acknowledged holds: nothing but the log of operations is judged, and nothing is asked.

Both kinds of keys only grow, one step at a time, and each step can be told from all others. So the last value of a key shows
every step that happened, in order. A step that was acknowledged has to be there, once. One that was refused must not be there.
One of unknown outcome may be there, once. A consistent read shows no less than what was known before it began.
"""

from __future__ import annotations

import typing as t
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .history import MAYBE, Operation, Value


@dataclass
class Findings:
    """What is wrong, one sentence each."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    # What is there though it was refused, or though nobody wrote it.
    ghosts: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    # Keys whose end nobody read, so that nothing is proven.
    unread: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return self.lost + self.doubled + self.ghosts + self.stale + self.unread


def check(operations: t.Iterable[Operation]) -> Findings:
    """Judge the log, key by key."""
    findings = Findings()
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_key[operation.key].append(operation)
    for key, of_key in by_key.items():
        last = _last(of_key)
        if last is None:
            findings.unread.append(f"{key}: nobody read it after the last write")
        else:
            _steps(findings, key, of_key, _steps_of(last))
            _reads(findings, key, of_key, _steps_of(last))
    return findings


def _last(operations: list[Operation]) -> Value | None:
    """What was read after all writes had ended."""
    quiet = max((one.ended for one in operations if one.writes), default=0.0)
    reads = [one for one in operations if not one.writes and one.acknowledged and one.begun >= quiet]
    return max(reads, key=lambda one: one.begun).value if reads else None


def _steps_of(value: Value | None) -> tuple[int, ...]:
    """A counter took the steps 1, 2, 3 ..., a list its elements."""
    return tuple(range(1, value + 1)) if isinstance(value, int) else tuple(value or ())


def _steps(findings: Findings, key: str, operations: list[Operation], last: tuple[int, ...]) -> None:
    there = Counter(last)
    acknowledged = Counter(_step(one) for one in operations if one.writes and one.acknowledged)
    open_ones = {_step(one) for one in operations if one.writes and one.outcome == MAYBE}
    for step, times in acknowledged.items():
        if not there[step]:
            findings.lost.append(f"{key}: {step} was acknowledged and is not there")
        # Two additions that came to the same sum: one of them is not in it.
        if times > 1:
            findings.lost.append(f"{key}: {step} was acknowledged {times} times")
    for step, times in there.items():
        if times > 1:
            findings.doubled.append(f"{key}: {step} is there {times} times")
        if step not in acknowledged and step not in open_ones:
            findings.ghosts.append(f"{key}: {step} is there, but was refused or never written")


def _step(operation: Operation) -> int:
    return t.cast(int, operation.value)


def _reads(findings: Findings, key: str, operations: list[Operation], last: tuple[int, ...]) -> None:
    """Each read against what was known when it began: writes that were acknowledged and what others had read."""
    place = {step: number for number, step in enumerate(last, 1)}
    ended = sorted((one for one in operations if one.acknowledged), key=lambda one: one.ended)
    begun = sorted((one for one in ended if not one.writes), key=lambda one: one.begun)
    known, next_ended = 0, 0
    for read in begun:
        while next_ended < len(ended) and ended[next_ended].ended < read.begun:
            one = ended[next_ended]
            known = max(known, place.get(_step(one), 0) if one.writes else len(_steps_of(one.value)))
            next_ended += 1
        seen = _steps_of(read.value)
        if len(seen) < known:
            findings.stale.append(f"{key}: {' and '.join(read.agents)} showed {len(seen)} of {known} steps at {read.begun:.3f}")
        if seen != last[: len(seen)]:
            findings.lost.append(f"{key}: what {' and '.join(read.agents)} showed at {read.begun:.3f} is not how it went on")
