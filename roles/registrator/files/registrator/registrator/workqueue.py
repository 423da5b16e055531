# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that wait for work: each at most once, and never handed out while somebody is at work on it.

So work on one key never overlaps, and however often a key is added meanwhile, it is worked on once more, with all that
was heard of it. A key whose work failed comes back after a pause that grows, with its news.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
import typing as t
from collections import deque
from dataclasses import dataclass

from .news import NOTHING, News, merged

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 15.0


class Work(t.NamedTuple):
    """A key to work on, what was heard of it, and since when it waits (monotonic seconds)."""

    key: str
    news: News
    since: float


@dataclass(slots=True)
class _Entry:
    """All there is to know of one key. It is in a line while ``is_waiting``, and in the heap while ``due``."""

    since: float
    news: News = NOTHING
    is_waiting: bool = False
    is_urgent: bool = False
    is_working: bool = False
    due: float = 0.0
    failures: int = 0


class WorkQueue:
    """Every method may be called by any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: t.Dict[str, _Entry] = {}
        self._urgent: t.Deque[str] = deque()
        self._others: t.Deque[str] = deque()
        self._delayed: t.List[t.Tuple[float, str]] = []
        self._closed = False

    def add(self, key: str, news: str, urgent: bool = False) -> None:
        """Have a key worked on. What is urgent goes before all that is not, and ends the pause after a failure."""
        with self._changed:
            entry = self._entries.setdefault(key, _Entry(time.monotonic()))
            entry.news = merged(entry.news, frozenset({news}))
            is_new = not entry.is_waiting and (urgent or not entry.due)
            becomes_urgent = urgent and not entry.is_urgent
            entry.is_urgent = entry.is_urgent or urgent
            if not entry.is_working and (is_new or becomes_urgent):
                self._line_up(key, entry)

    def get(self) -> t.Optional[Work]:
        """Wait for a key to work on; None when the queue was closed. ``done`` or ``failed`` must follow."""
        with self._changed:
            while not self._closed:
                pause = self._release_delayed()
                key = self._next()
                if key is not None:
                    entry = self._entries[key]
                    work = Work(key, entry.news, entry.since)
                    entry.is_waiting, entry.is_urgent, entry.is_working, entry.news = False, False, True, NOTHING
                    return work
                self._changed.wait(pause)
            return None

    def done(self, work: Work) -> None:
        """The work on a key succeeded."""
        with self._changed:
            entry = self._entries[work.key]
            entry.is_working, entry.failures = False, 0
            if entry.news:
                entry.since = time.monotonic()
                self._line_up(work.key, entry)
            else:
                del self._entries[work.key]

    def failed(self, work: Work) -> None:
        """The work on a key failed: it comes back by itself, at once only if something urgent was heard meanwhile."""
        with self._changed:
            entry = self._entries[work.key]
            entry.is_working, entry.failures = False, entry.failures + 1
            entry.news = merged(work.news, entry.news)
            if entry.is_urgent:
                self._line_up(work.key, entry)
                return
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(entry.failures - 1, 20)) * random.uniform(0.5, 1.0)
            entry.due = time.monotonic() + pause
            heapq.heappush(self._delayed, (entry.due, work.key))
            self._changed.notify()

    def hurry(self) -> None:
        """Take up at once what waits after a failure: its cause has just gone."""
        with self._changed:
            for key, entry in self._entries.items():
                if entry.due:
                    self._line_up(key, entry)
            self._delayed = []

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def is_busy(self) -> bool:
        """Tell whether any key waits or is worked on that has not failed."""
        with self._changed:
            return any(not entry.due for entry in self._entries.values())

    def __len__(self) -> int:
        """Return how many keys wait, are worked on, or come back later."""
        with self._changed:
            return len(self._entries)

    def _line_up(self, key: str, entry: _Entry) -> None:
        # A key that becomes urgent while it waits stands in both lines: `_next` passes over what is no longer waiting.
        (self._urgent if entry.is_urgent else self._others).append(key)
        entry.is_waiting, entry.due = True, 0.0
        self._changed.notify()

    def _next(self) -> t.Optional[str]:
        for line in (self._urgent, self._others):
            while line:
                key = line.popleft()
                if key in self._entries and self._entries[key].is_waiting:
                    return key
        return None

    def _release_delayed(self) -> t.Optional[float]:
        """Line up the keys whose pause is over; return the seconds until the next one is, or None."""
        now = time.monotonic()
        while self._delayed:
            due, key = self._delayed[0]
            entry = self._entries.get(key)
            if entry is not None and entry.due == due:
                if due > now:
                    return due - now
                self._line_up(key, entry)
            heapq.heappop(self._delayed)
        return None
