# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that were told to stop and have not ended yet."""

from __future__ import annotations

import signal
import threading
import time
import typing as t
from dataclasses import dataclass

from .news import KILL, News

DEFAULT_STOP_TIMEOUT_S = 10
SPARE_S = 5
ENDING = {"2", "3", "9", "15"}


@dataclass(slots=True)
class _Drained:
    """``until`` is when a container that still runs means to go on; ``is_out`` says that it is out of service."""

    until: float
    is_out: bool = False


class Draining:
    """Every method may be called by any thread. A container is drained until ``end``, whatever fails meanwhile."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._drained: t.Dict[str, _Drained] = {}

    def begin(self, container: str, config: t.Mapping[str, t.Any]) -> None:
        """A container was told to stop. When it has not ended by its stop timeout, it means to go on."""
        timeout = config.get("StopTimeout")
        with self._lock:
            until = self._clock() + (DEFAULT_STOP_TIMEOUT_S if timeout is None else timeout) + SPARE_S
            self._drained.setdefault(container, _Drained(until))

    def is_out(self, container: str) -> None:
        """The container is out of service now."""
        with self._lock:
            if container in self._drained:
                self._drained[container].is_out = True

    def end(self, container: str) -> None:
        with self._lock:
            self._drained.pop(container, None)

    def __contains__(self, container: str) -> bool:
        """Tell whether a container was told to stop."""
        with self._lock:
            return container in self._drained

    def has_to_go_out(self, container: str) -> bool:
        """Tell whether a container was told to stop and is in service."""
        with self._lock:
            return container in self._drained and not self._drained[container].is_out

    def goes_on(self, container: str) -> bool:
        """Tell whether a container that was told to stop means to go on."""
        with self._lock:
            return container in self._drained and self._drained[container].until <= self._clock()

    def overdue(self) -> t.List[str]:
        """Return the containers that were told to stop and go on."""
        with self._lock:
            now = self._clock()
            return [container for container, drained in self._drained.items() if drained.until <= now]


def asks_to_stop(news: News, config: t.Mapping[str, t.Any]) -> bool:
    """Tell whether a signal was sent that ends the container, and is no request to read its configuration again."""
    own = str(config.get("StopSignal") or "")
    name = own if own.startswith("SIG") else f"SIG{own}"
    ending = {*ENDING, own, str(int(getattr(signal, name, 0)))}
    return any(word.startswith(KILL) and word[len(KILL) :] in ending for word in news)
