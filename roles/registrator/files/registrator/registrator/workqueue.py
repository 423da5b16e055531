# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that wait for work: each at most once, and never handed out while somebody is at work on it.

So work on one key never overlaps, and however often a key is added meanwhile, it is worked on once more, with the
latest state. A key whose work failed comes back after a pause that grows.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
import typing as t
from collections import deque

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 15.0


class Work(t.NamedTuple):
    """A key to work on, the latest that was heard of it, and since when it waits (monotonic seconds)."""

    key: str
    news: str
    since: float


class WorkQueue:
    """Every method may be called by any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: t.Deque[str] = deque()
        self._waiting: t.Dict[str, Work] = {}  # what is in _ready, or goes there when the work on it is done
        self._working: t.Set[str] = set()
        self._delayed: t.List[t.Tuple[float, str]] = []
        self._failures: t.Dict[str, int] = {}
        self._closed = False

    def add(self, key: str, news: str = "", replace: bool = True) -> None:
        """Have a key worked on. Later news take the place of earlier ones that nobody has worked on, if they may."""
        with self._changed:
            if replace or key not in self._waiting:
                self._add(key, news)

    def get(self) -> t.Optional[Work]:
        """Wait for a key to work on; None when the queue was closed. ``done`` or ``failed`` must follow."""
        with self._changed:
            while not self._closed:
                pause = self._release_delayed()
                if self._ready:
                    key = self._ready.popleft()
                    self._working.add(key)
                    return self._waiting.pop(key)
                self._changed.wait(pause)
            return None

    def done(self, key: str) -> None:
        """The work on a key succeeded."""
        with self._changed:
            self._failures.pop(key, None)
            self._finish(key)

    def failed(self, key: str) -> None:
        """The work on a key failed: it comes back by itself."""
        with self._changed:
            count = self._failures[key] = self._failures.get(key, 0) + 1
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(count - 1, 20)) * random.uniform(0.5, 1.0)
            heapq.heappush(self._delayed, (time.monotonic() + pause, key))
            self._finish(key)

    def hurry(self) -> None:
        """Take up at once what waits after a failure: its cause has just gone."""
        with self._changed:
            for _due, key in self._delayed:
                self._add(key)
            self._delayed = []

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def is_busy(self) -> bool:
        """Tell whether any key waits or is worked on that has not failed."""
        with self._changed:
            return bool(self._waiting or self._working)

    def __len__(self) -> int:
        """Return how many keys wait, are worked on, or come back later."""
        with self._changed:
            return len(self._waiting.keys() | self._working | {key for _due, key in self._delayed})

    def _add(self, key: str, news: str = "") -> None:
        earlier = self._waiting.get(key)
        self._waiting[key] = Work(key, news, earlier.since if earlier else time.monotonic())
        if earlier is None and key not in self._working:
            self._ready.append(key)
            self._changed.notify()

    def _finish(self, key: str) -> None:
        self._working.discard(key)
        if key in self._waiting:
            self._ready.append(key)
        self._changed.notify_all()

    def _release_delayed(self) -> t.Optional[float]:
        """Add the keys whose pause is over; return the seconds until the next one is, or None."""
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._add(heapq.heappop(self._delayed)[1])
        return self._delayed[0][0] - now if self._delayed else None
