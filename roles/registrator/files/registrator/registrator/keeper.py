# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew in time what a registry lets run out.

Each keeper has a thread of its own, in which nothing else happens: neither the engine nor a long list makes it late. What
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
# So much of the time from a renewal's turn to the end of what it renews may pass, and so much of a period may be work,
# before all are given more time; and they are given as much more as the work would need.
LATE, WORK, SPARE = 0.5, 0.8, 1.5
WEIGHT = 0.05  # of the last renewal, in what one is thought to cost


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

    ``locations`` returns what there is to keep, ``renew`` renews one and raises RegistryError. Where renewing all takes
    too long for that, ``lengthen`` is called with a longer time to live, in whole seconds.
    """

    def __init__(
        self,
        what: str,
        ttl: float,
        period: float,
        locations: t.Callable[[], t.Iterable[str]],
        renew: t.Callable[[str], None],
        lengthen: t.Callable[[int], None],
        log: Log,
        clock: t.Optional[Clock] = None,
    ) -> None:
        self._what, self._ttl, self._period, self._locations, self._renew, self._lengthen = what, ttl, period, locations, renew, lengthen
        self._log, self._once, self._clock = log, Once(log), clock or Clock()
        self._due: t.Dict[str, float] = {}
        self._turns: t.List[t.Tuple[float, str]] = []
        self._counted = float("-inf")
        self._cost = 0.0
        self._hurried = threading.Event()
        self._is_catching_up = self._stopped = False

    def start(self) -> None:
        threading.Thread(target=self.run, name=f"keeper of {self._what}", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._clock.wake()

    def hurry(self) -> None:
        """Renew everything now: the registry was away, and nobody knows what it remembers."""
        self._hurried.set()
        self._clock.wake()

    def run(self) -> None:
        """Renew until ``stop``."""
        while not self._stopped:
            pause = self.step()
            if pause > 0:
                self._clock.wait(pause)

    def step(self) -> float:
        """Renew what is due first, if anything is due; return the seconds until there is more to do."""
        now = self._clock.now()
        if now - self._counted >= STOCK_S or self._hurried.is_set():
            self._take_stock(now)
        due, location = self._turns[0] if self._turns else (float("inf"), "")
        if due > now:
            self._is_catching_up = False
            return min(due, self._counted + STOCK_S) - now
        heapq.heappop(self._turns)
        try:
            self._renew(location)
        except RegistryUnreachable:
            self._is_catching_up = True
            self._take_turn(location, due)
            return AGAIN_S
        except RegistryError as error:
            self._once.info(location, str(error))
        else:
            self._once.forget(location)
        self._cost += WEIGHT * (self._clock.now() - now - self._cost)
        self._take_turn(location, now + self._period)
        self._judge(now - due)
        return 0.0

    def _take_stock(self, now: float) -> None:
        """See what there is to keep. What is new has its first turn somewhere in a period: it was just written."""
        self._counted, is_hurried, before = now, self._hurried.is_set(), self._due
        self._hurried.clear()
        self._is_catching_up = self._is_catching_up or is_hurried
        self._due = {location: now if is_hurried else before.get(location, now + random.uniform(0, self._period)) for location in self._locations()}
        if is_hurried or self._due.keys() != before.keys():
            self._turns = [(due, location) for location, due in self._due.items()]
            heapq.heapify(self._turns)

    def _take_turn(self, location: str, due: float) -> None:
        self._due[location] = due
        heapq.heappush(self._turns, (due, location))

    def _judge(self, late: float) -> None:
        """Give all more time when this one came late, since there is more to do than a period has time for."""
        work = self._cost * len(self._due)
        if self._is_catching_up or late <= (self._ttl - self._period) * LATE or work <= self._period * WORK:
            return
        factor = SPARE * work / self._period
        self._ttl, self._period = math.ceil(self._ttl * factor), self._period * factor
        self._log.info(
            f"WARNING: renewing {len(self._due)} {self._what} takes some {work:.0f} s, too long for their time to live. "
            f"It is {self._ttl:.0f} s from now on: give them a longer one, or have fewer on this host"
        )
        self._lengthen(int(self._ttl))
