# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""How often an agent may be asked."""

from __future__ import annotations

import random
import threading
import time


class TokenBucket:
    """A burst, then a steady rate. ``wait`` ends early when the event is set."""

    def __init__(self, burst: int = 10, rate: float = 5.0) -> None:
        self._burst, self._rate = float(burst), rate
        self._tokens, self._at = float(burst), time.monotonic()

    def wait(self, stopped: threading.Event) -> bool:
        """Take one token. Return whether there is reason to go on."""
        self._refill()
        while self._tokens < 1:
            # Never for next to nothing: what is left of a token may be less than the clock can tell.
            if stopped.wait(max(0.001, (1 - self._tokens) / self._rate)):
                return False
            self._refill()
        self._tokens -= 1
        return not stopped.is_set()

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens, self._at = min(self._burst, self._tokens + (now - self._at) * self._rate), now


class Backoff:
    """Pauses that grow to some seconds, each shortened at random, so that many clients do not come back at one moment."""

    def __init__(self, first: float = 0.1, last: float = 3.0) -> None:
        self._first, self._last, self._failures = first, last, 0

    def reset(self) -> None:
        self._failures = 0

    def wait(self, stopped: threading.Event) -> None:
        # The exponent is bounded: an agent may be away for a year.
        pause = min(self._last, self._first * 2 ** min(self._failures, 16))
        self._failures += 1
        stopped.wait(pause * random.uniform(0.5, 1))
