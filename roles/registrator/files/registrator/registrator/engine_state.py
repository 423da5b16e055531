# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the engine: whether it answers and is watched, and which containers run. Fills the queue with them."""

from __future__ import annotations

import threading
import typing as t

from .engine import Engine, EngineError, Event
from .log import Log
from .metrics import Metrics
from .news import DIED, KILL, LOOK, STARTED
from .registrations import Registrations
from .watch import Watch
from .workqueue import WorkQueue

AGAIN_S = 2.0


class EngineState:
    """Any thread may call any method but ``start``. ``sync_soon`` is called to have ``sync`` called after some seconds."""

    def __init__(self, engine: Engine, registrations: Registrations, queue: WorkQueue, hears_kills: bool, log: Log, metrics: Metrics) -> None:
        self._engine, self._registrations, self._queue, self._log, self._metrics = engine, registrations, queue, log, metrics
        self._hears_kills = hears_kills
        self._watch = Watch(engine, self._heard, self._not_watched, self._watched_again)
        self._lock = threading.Lock()
        self._outlines: t.Dict[str, int] = {}
        self._running: t.Set[str] = set()
        self._is_watched = self._answers = True
        self.sync_soon: t.Callable[[float], None] = lambda delay: None

    @property
    def is_up(self) -> bool:
        """Tell whether the engine answers, and its events are read."""
        return self._is_watched and self._answers

    def start(self) -> None:
        """Watch the engine, and have everything looked at. Raises EngineError when it cannot be reached, or refuses."""
        self._watch.start()
        self._log.info("Listening for Docker events ...")
        self._sync()

    def stop(self) -> None:
        self._watch.stop()

    def running(self) -> t.Set[str]:
        """Return the containers that run, as far as a list or an event has told."""
        with self._lock:
            return set(self._running)

    def is_running(self, container: str) -> bool:
        with self._lock:
            return container in self._running

    def sync(self) -> None:
        """Look at every container again, at those that run and at those that are registered."""
        try:
            self._sync()
        except EngineError as error:
            self._does_not_answer(error)
            self.sync_soon(AGAIN_S)

    def list_changes(self) -> None:
        """Look at the containers that a list tells something new of: a safety net under the events."""
        try:
            before, outlines = self._list()
        except EngineError as error:
            self._does_not_answer(error)
            return
        changed = [container for container, outline in outlines.items() if before.get(container) != outline]
        known = {*before, *self._registrations.containers()}
        self._look_at([*changed, *(known - set(outlines))])

    def _sync(self) -> None:
        _before, outlines = self._list()
        self._log.info(f"Syncing services on {len(outlines)} containers")
        # What runs goes first: a new container of an old one's name then takes its id over, instead of losing it.
        self._look_at([*outlines, *(set(self._registrations.containers()) - set(outlines))])

    def _list(self) -> t.Tuple[t.Dict[str, int], t.Dict[str, int]]:
        """Return what the last list told, and what a new one does."""
        outlines = self._engine.containers()
        with self._lock:
            before, self._outlines, self._running = self._outlines, outlines, set(outlines)
        if not self._answers:
            self._answers = True
            self._log.info("The Docker engine answers again")
        return before, outlines

    def _heard(self, event: Event) -> None:
        """Queue the container that something happened to."""
        self._metrics.events.inc()
        if not event.container:
            return
        with self._lock:
            if event.news == STARTED:
                self._running.add(event.container)
            elif event.news == DIED:
                self._running.discard(event.container)
        # The engine answers nothing about a container that it is starting or taking down, and whoever asks has to wait.
        # So what only announces a start or an end is passed over, unless something is to be done about it.
        if event.is_on_network and event.container not in self._registrations:
            return
        if event.news.startswith(KILL) and not self._hears_kills:
            return
        self._queue.add(event.container, event.news, urgent=True)

    def _watched_again(self) -> None:
        """Have everything looked at: nobody knows what was missed."""
        self._is_watched = True
        self._log.info("Listening for Docker events again")
        self.sync_soon(0.0)
        self._queue.hurry()

    def _not_watched(self, error: EngineError) -> None:
        if self._is_watched:
            self._is_watched = False
            self._log.info(f"{error}; trying again until it tells them")

    def _does_not_answer(self, error: EngineError) -> None:
        if self._answers:
            self._answers = False
            self._log.info(f"{error}; trying again until it answers")

    def _look_at(self, containers: t.Iterable[str]) -> None:
        for container in containers:
            self._queue.add(container, LOOK)
