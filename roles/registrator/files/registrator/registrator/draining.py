# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that were told to stop and have not ended yet."""

from __future__ import annotations

import signal
import threading
import time
import typing as t

from .engine import KILL

DEFAULT_STOP_TIMEOUT_S = 10
SPARE_S = 5
ENDING = {"2", "3", "9", "15"}


class Draining:
    """Every method may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: t.Dict[str, float] = {}

    def begin(self, container: str, config: t.Mapping[str, t.Any]) -> None:
        """A container was told to stop. When it has not ended by its stop timeout, it means to go on."""
        with self._lock:
            self._until[container] = time.monotonic() + (config.get("StopTimeout") or DEFAULT_STOP_TIMEOUT_S) + SPARE_S

    def end(self, container: str) -> None:
        with self._lock:
            self._until.pop(container, None)

    def is_on(self, container: str) -> bool:
        with self._lock:
            return self._until.get(container, 0.0) > time.monotonic()

    def overdue(self) -> t.List[str]:
        """Return, once, the containers that were told to stop and go on."""
        with self._lock:
            now = time.monotonic()
            found = [container for container, until in self._until.items() if until <= now]
            for container in found:
                del self._until[container]
            return found


def asks_to_stop(news: str, config: t.Mapping[str, t.Any]) -> bool:
    """Tell whether an event is a signal that ends the container, and no request to read its configuration again."""
    if not news.startswith(KILL):
        return False
    number = news[len(KILL) :]
    own = str(config.get("StopSignal") or "")
    name = own if own.startswith("SIG") else f"SIG{own}"
    return number in ENDING or number == own or number == str(int(getattr(signal, name, 0)))
