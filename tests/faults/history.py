# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log of all operations: what was wanted, what came of it, and when, by one clock."""

from __future__ import annotations

import json
import pathlib
import threading
import typing as t
from dataclasses import asdict, dataclass, field

# What a key holds: a counter its number, a list its elements. Both only grow, by compare-and-set.
Value = t.Union[int, t.Tuple[int, ...]]

# What came of an operation. `no` is certain not to have happened, `maybe` may have happened or may still happen.
OK, NO, MAYBE = "ok", "no", "maybe"


@dataclass(frozen=True)
class Operation:
    """One attempt to read, one addition of 1 to a counter (`value` is the sum) or one append to a list (`value` is the element)."""

    kind: str  # read, add or append
    key: str
    outcome: str
    begun: float
    ended: float
    value: Value | None = None
    agents: tuple[str, ...] = ()
    # How many agents gave no answer that was of use, those of earlier attempts included. A comparison that failed is of use: somebody
    # else was faster.
    failures: int = 0
    # Whether this is an attempt to read that failed, and another agent is asked next.
    is_repeated: bool = False

    @property
    def writes(self) -> bool:
        return self.kind != "read"

    @property
    def acknowledged(self) -> bool:
        return self.outcome == OK


@dataclass
class History:
    """The operations of all threads, in the order in which they ended."""

    operations: list[Operation] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, operation: Operation) -> None:
        with self._lock:
            self.operations.append(operation)

    def longest_gap(self, begun: float, ended: float) -> float:
        """The longest time between two acknowledged writes, any two, within a period."""
        moments = sorted(one.ended for one in self.operations if one.writes and one.acknowledged and begun < one.ended < ended)
        marks = [begun, *moments, ended]
        return max(later - earlier for earlier, later in zip(marks, marks[1:]))

    def save(self, path: pathlib.Path) -> None:
        path.write_text("".join(f"{json.dumps(asdict(one))}\n" for one in self.operations))
