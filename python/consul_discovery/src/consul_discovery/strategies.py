# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Which instance is next. A strategy is a function of the instances to choose from and of what a watch has counted."""

from __future__ import annotations

import itertools
import random as _random
import threading
import typing as t

from .instance import Instance, Key


class Tally:
    """What a watch counts for strategies."""

    def __init__(self) -> None:
        # One step of it is one step of the interpreter: threads need no lock. Not every process begins with the same instance.
        self.turn: t.Callable[[], int] = itertools.count(_random.randrange(1 << 16)).__next__
        self._outstanding: t.Dict[Key, int] = {}
        self._lock = threading.Lock()

    def outstanding(self, instance: Instance) -> int:
        """How many calls to an instance are under way."""
        return self._outstanding.get(instance.key, 0)

    def begin(self, instance: Instance) -> None:
        with self._lock:
            self._outstanding[instance.key] = self._outstanding.get(instance.key, 0) + 1

    def end(self, instance: Instance) -> None:
        with self._lock:
            left = self._outstanding.get(instance.key, 0) - 1
            if left > 0:
                self._outstanding[instance.key] = left
            else:
                self._outstanding.pop(instance.key, None)


Strategy = t.Callable[[t.Sequence[Instance], Tally], Instance]


def round_robin(instances: t.Sequence[Instance], tally: Tally) -> Instance:
    """One after the other."""
    return instances[tally.turn() % len(instances)]


def random(instances: t.Sequence[Instance], _tally: Tally) -> Instance:
    """Any, with the same chance."""
    return instances[int(_random.random() * len(instances))]


def least_outstanding(instances: t.Sequence[Instance], tally: Tally) -> Instance:
    """The one with the fewest calls under way. For ``call`` alone, which knows when a call is over."""
    start = tally.turn()
    return min((instances[(start + step) % len(instances)] for step in range(len(instances))), key=tally.outstanding)


def by_meta(name: str, value: str, then: Strategy = round_robin) -> Strategy:
    """Instances whose metadata has this value, as long as there are any; otherwise all. ``then`` chooses among them."""

    def choose(instances: t.Sequence[Instance], tally: Tally) -> Instance:
        return then([one for one in instances if one.meta.get(name) == value] or instances, tally)

    if counts_calls(then):
        _CALLS_ONLY.add(choose)
    return choose


_CALLS_ONLY: t.Set[Strategy] = {least_outstanding}


def counts_calls(strategy: Strategy) -> bool:
    """Whether a strategy lives on what only ``call`` knows."""
    return strategy in _CALLS_ONLY
