# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Instances that failed lately, and are left out for a while."""

from __future__ import annotations

import threading
import time
import typing as t

from .instance import Instance

_Place = t.Tuple[str, str, str, int]


class _Record(t.NamedTuple):
    failures: int
    until: float


class Outliers:
    """An instance that fails is left out for a second, then two, up to a minute. At most half of the instances are.

    Reading takes no lock: the records are a dictionary that is replaced, never changed.
    """

    def __init__(self, first: float = 1.0, last: float = 60.0, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._first, self._last, self._clock = first, last, clock
        self._records: t.Dict[_Place, _Record] = {}
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._records)

    def failed(self, instance: Instance) -> None:
        with self._lock:
            now, where = self._clock(), instance.place
            failures = self._records[where].failures if where in self._records else 0
            pause = min(self._last, self._first * 2 ** min(failures, 16))
            # What has behaved for some time since is forgotten, as is what is gone.
            kept = {key: record for key, record in self._records.items() if record.until + self._last > now}
            self._records = {**kept, where: _Record(failures + 1, now + pause)}

    def succeeded(self, instance: Instance) -> None:
        if self._records:
            with self._lock:
                self._records = {key: record for key, record in self._records.items() if key != instance.place}

    def spare(self, instances: t.Tuple[Instance, ...]) -> t.Tuple[Instance, ...]:
        """Return the instances without those that are left out."""
        records, now = self._records, self._clock()
        out = [(records[one.place].until, one.place) for one in instances if one.place in records and records[one.place].until > now]
        if not out:
            return instances
        longest = {where for _unused, where in sorted(out, reverse=True)[: len(instances) // 2]}
        return tuple(one for one in instances if one.place not in longest)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
