# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the engine's events for ever, through every interruption."""

from __future__ import annotations

import threading
import time
import typing as t

from .engine import Engine, EngineError, Event

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
# A stream that ends sooner, without an event, is no better than none: after several, one is tried less often.
GOOD_STREAM_S, LONGEST_PAUSE_AFTER_BAD_S = 5.0, 30.0


class Watch:
    """Calls ``heard`` with every event, ``lost`` when the stream ends, and ``back`` when there is a new one.

    Nothing but reading happens in its thread, so what is called must not wait for anything.
    """

    def __init__(self, engine: Engine, heard: t.Callable[[Event], None], lost: t.Callable[[EngineError], None], back: t.Callable[[], None]) -> None:
        self._engine, self._heard, self._lost, self._back = engine, heard, lost, back
        self._stopping = threading.Event()

    def start(self) -> None:
        """Return when the engine is watching. Raises EngineError when it cannot be reached, or refuses."""
        events = self._engine.events()
        threading.Thread(target=self._read, args=(events,), name="events", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _read(self, events: t.Iterable[Event]) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began, is_good = time.monotonic(), False
            try:
                for event in events:
                    is_good = True
                    self._heard(event)
                raise EngineError("Docker event stream closed")
            except EngineError as error:
                if not self._stopping.is_set():
                    self._lost(error)
            is_good = is_good or time.monotonic() - began > GOOD_STREAM_S
            pause = FIRST_PAUSE_S if is_good else min(LONGEST_PAUSE_AFTER_BAD_S, pause * 2)
            events = self._reconnected(pause)

    def _reconnected(self, pause: float) -> t.Iterable[Event]:
        """Try until the engine answers again."""
        while not self._stopping.wait(pause):
            try:
                self._engine.forget_version()
                events = self._engine.events()
            except EngineError as error:
                self._lost(error)
                pause = min(LONGEST_PAUSE_S, pause * 2)
                continue
            self._back()
            return events
        return ()
