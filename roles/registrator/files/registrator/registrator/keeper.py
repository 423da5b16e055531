# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew in time what a registry lets run out.

Each keeper has threads of its own, in which nothing else happens: neither the engine nor a long list makes it late. What
it keeps has its turn at regular intervals, spread over time, so that renewing thousands is no burst.
"""

from __future__ import annotations

import heapq
import math
import random
import threading
import time
import typing as t

from .log import Log, Once
from .registry import RegistryError, RegistryUnreachable

STOCK_S = 1.0
AGAIN_S = 2.0
# On a busy machine a renewal mostly waits for a processor, here and in the registry: several wait side by side.
RENEWERS = 4
# So much of the time from a renewal's turn to the end of what it renews may pass, and so much of a period may be work,
# before all are given more time; and they are given as much more as the work would need.
LATE, WORK, SPARE = 0.5, 0.8, 1.5
# That is taken back when the work has needed no more than so much of the wanted period, for so many of the longer ones.
ROOM, QUIET = 0.4, 2.0
WEIGHT = 0.05  # of the last renewal, in what one is thought to cost


class Turn(t.NamedTuple):
    """When a location is to be renewed."""

    due: float
    location: str


class Clock:
    """The time, in seconds that only ever grow, and waiting."""

    def __init__(self) -> None:
        self._changed = threading.Event()

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until ``wake``."""
        if self._changed.wait(seconds):
            self._changed.clear()

    def wake(self) -> None:
        self._changed.set()


class Keeper:
    """Renews every ``period`` seconds what runs out after ``ttl``.

    ``locations`` returns what there is to keep, ``renew`` renews one and raises RegistryError. While renewing all takes too
    long for that, they are given a longer time to live: ``set_ttl`` is called with it, in whole seconds.
    """

    def __init__(
        self,
        what: str,
        ttl: float,
        period: float,
        locations: t.Callable[[], t.Iterable[str]],
        renew: t.Callable[[str], None],
        set_ttl: t.Callable[[int], None],
        log: Log,
        clock: t.Optional[Clock] = None,
    ) -> None:
        self._what, self._locations, self._renew, self._set_ttl = what, locations, renew, set_ttl
        self._wanted = self._ttl, self._period = ttl, period
        self._log, self._once, self._clock = log, Once(log), clock or Clock()
        self._front, self._lock = threading.Lock(), threading.Lock()
        self._due: t.Dict[str, float] = {}
        self._turns: t.List[Turn] = []
        self._renewing: t.Set[str] = set()
        self._counted = self._away_until = self._crowded = float("-inf")
        self._cost = 0.0
        self._hurried = threading.Event()
        self._is_catching_up = self._stopped = False

    def start(self) -> None:
        for number in range(RENEWERS):
            threading.Thread(target=self.run, name=f"keeper {number} of {self._what}", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._clock.wake()

    def hurry(self) -> None:
        """Renew everything now: the registry was away, and nobody knows what it remembers."""
        self._hurried.set()
        self._clock.wake()

    def run(self) -> None:
        """Renew until ``stop``, in as many threads as call this."""
        while not self._stopped:
            # One of the threads waits for the next turn, while others renew.
            with self._front:
                turn, pause = self.take_turn()
                if turn is None:
                    self._clock.wait(pause)
            if turn is not None:
                self.renew(turn)

    def take_turn(self) -> t.Tuple[t.Optional[Turn], float]:
        """Return what is to be renewed now, or None and the seconds until there is more to do."""
        with self._lock:
            now = self._clock.now()
            if now - self._counted >= STOCK_S or self._hurried.is_set():
                self._take_stock(now)
            due = max(self._away_until, self._turns[0].due if self._turns else float("inf"))
            if due > now:
                self._is_catching_up = self._is_catching_up and now < self._away_until
                return None, min(due, self._counted + STOCK_S) - now
            turn = heapq.heappop(self._turns)
            self._renewing.add(turn.location)
            return turn, 0.0

    def renew(self, turn: Turn) -> None:
        """Renew what has its turn, and give it the next one."""
        began = self._clock.now()
        try:
            self._renew(turn.location)
        except RegistryUnreachable:
            with self._lock:
                self._is_catching_up, self._away_until = True, self._clock.now() + AGAIN_S
                self._give_turn(turn)
            return
        except RegistryError as error:
            self._once.info(turn.location, str(error))
        else:
            self._once.forget(turn.location)
        with self._lock:
            now = self._clock.now()
            self._cost += WEIGHT * (now - began - self._cost)
            self._give_turn(Turn(began + self._period, turn.location))
            self._judge(began - turn.due, now)

    def _take_stock(self, now: float) -> None:
        """See what there is to keep. What is new has its first turn somewhere in a period: it was just written."""
        self._counted, is_hurried, before = now, self._hurried.is_set(), self._due
        self._hurried.clear()
        self._is_catching_up = self._is_catching_up or is_hurried
        self._due = {location: now if is_hurried else before.get(location, now + random.uniform(0, self._period)) for location in self._locations()}
        if is_hurried or self._due.keys() != before.keys():
            self._make_turns()

    def _make_turns(self) -> None:
        self._turns = [Turn(due, location) for location, due in self._due.items() if location not in self._renewing]
        heapq.heapify(self._turns)

    def _give_turn(self, turn: Turn) -> None:
        self._renewing.discard(turn.location)
        if turn.location in self._due:
            self._due[turn.location] = turn.due
            heapq.heappush(self._turns, turn)

    def _judge(self, late: float, now: float) -> None:
        """Give all more time when one came late, since there is more to do than a period has time for; and take it back when that has ended."""
        ttl, period = self._wanted
        work = self._cost * len(self._due) / RENEWERS
        if work > period * ROOM:
            self._crowded = now
        if self._period > period and now - self._crowded > self._period * QUIET:
            self._ttl, self._period = ttl, period
            self._due = {location: min(due, now + random.uniform(0, period)) for location, due in self._due.items()}
            self._make_turns()
            self._is_catching_up = True
            self._log.info(f"renewing {len(self._due)} {self._what} takes some {work:.0f} s: their time to live is {ttl:.0f} s again")
        elif not self._is_catching_up and late > (self._ttl - self._period) * LATE and work > self._period * WORK:
            factor = SPARE * work / self._period
            self._ttl, self._period = math.ceil(self._ttl * factor), self._period * factor
            self._log.info(
                f"WARNING: renewing {len(self._due)} {self._what} takes some {work:.0f} s, too long for their time to live. "
                f"It is {self._ttl:.0f} s until that takes less: give them a longer one, or have fewer on this host"
            )
        else:
            return
        self._set_ttl(int(self._ttl))
