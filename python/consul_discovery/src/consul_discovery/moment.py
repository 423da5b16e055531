# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""A moment, as this process measures time, and as another one can read it in a file."""

from __future__ import annotations

import time
import typing as t

# Also runs while a machine is suspended, and does not jump with its clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Moment(t.NamedTuple):
    running: float
    epoch: float

    @classmethod
    def now(cls) -> Moment:
        return cls(time.clock_gettime(_CLOCK), time.time())

    @classmethod
    def at(cls, epoch: float) -> Moment:
        """A moment that another process noted."""
        now = cls.now()
        return cls(now.running - max(0.0, now.epoch - epoch), epoch)

    def age(self) -> float:
        return time.clock_gettime(_CLOCK) - self.running
