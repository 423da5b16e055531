# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the engine's events for ever, through every interruption."""

from __future__ import annotations

import threading
import typing as t

from .engine import Engine, EngineError, Event

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


class Watch:
    """Calls ``heard`` with every event, ``lost`` when the stream ends, and ``back`` when there is a new one.

    Nothing but reading happens in its thread, so what is called must not wait for anything.
    """

    def __init__(self, engine: Engine, heard: t.Callable[[Event], None], lost: t.Callable[[EngineError], None], back: t.Callable[[], None]) -> None:
        self._engine, self._heard, self._lost, self._back = engine, heard, lost, back
        self._stopping = threading.Event()

    def start(self) -> None:
        """Return when the engine is watching. Raises EngineError when it cannot be reached."""
        events = self._engine.events()
        threading.Thread(target=self._read, args=(events,), name="events", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _read(self, events: t.Iterable[Event]) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                for event in events:
                    pause = FIRST_PAUSE_S
                    self._heard(event)
                raise EngineError("Docker event stream closed")
            except EngineError as error:
                if not self._stopping.is_set():
                    self._lost(error)
            events = self._reconnected(pause)
            pause = min(LONGEST_PAUSE_S, pause * 2)

    def _reconnected(self, pause: float) -> t.Iterable[Event]:
        """Try until the engine answers again."""
        while not self._stopping.wait(pause):
            try:
                self._engine.forget_version()
                events = self._engine.events()
            except EngineError:
                pause = min(LONGEST_PAUSE_S, pause * 2)
                continue
            self._back()
            return events
        return ()
