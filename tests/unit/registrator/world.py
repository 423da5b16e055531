# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole Registrator on an engine and a registry in memory: worked step by step, without threads."""

from __future__ import annotations

import typing as t

from fakes import FakeEngine, FakeRegistry, Lines
from registrator.engine import EngineError, Event
from registrator.options import Options
from registrator.pipeline import Pipeline
from registrator.registry import RegistryError


def _fails(error: t.Optional[EngineError]) -> None:
    if isinstance(error, EngineError):
        raise error


class Engine(FakeEngine):
    """An engine in memory that may be away, hang its events up, or refuse to tell them."""

    away: t.Optional[EngineError] = None
    refuses_events: t.Optional[EngineError] = None

    def containers(self) -> t.Dict[str, int]:
        _fails(self.away)
        return {key: hash(str(found)) for key, found in self.all.items() if found["State"]["Running"]}

    def inspect(self, key: str) -> t.Optional[t.Dict[str, t.Any]]:
        _fails(self.away)
        return super().inspect(key)

    def events(self) -> t.Iterator[Event]:
        _fails(self.refuses_events)
        return iter(())

    def forget_version(self) -> None:
        """There is none."""


class World:
    """A pipeline whose schedules, workers and keepers do nothing by themselves."""

    def __init__(
        self,
        *containers: t.Dict[str, t.Any],
        options: Options = Options(ip="10.0.0.1"),  # noqa: B008 - it is frozen
        registry: t.Any = None,
    ) -> None:
        self.engine, self.registry, self.log = Engine(*containers), registry or FakeRegistry(), Lines()
        engine: t.Any = self.engine
        self.pipeline = Pipeline(engine, self.registry, options, "host1", self.log)  # type: ignore[arg-type]
        self.state = self.pipeline._engine_state

    def start(self) -> None:
        self.state._sync()
        self.pipeline._registry_state.compare()
        self.work()

    def hear(self, key: str, news: str) -> None:
        self.state._heard(Event(key, news))

    def work(self) -> None:
        """Do everything that waits, and once what failed."""
        queue = self.pipeline._queue
        while queue.is_busy():
            work = queue.get()
            assert work
            try:
                self.pipeline._reconciler.converge(work.key, work.news)
            except (EngineError, RegistryError):
                queue.failed(work)
            else:
                queue.done(work)

    def look_after(self) -> None:
        self.pipeline._look_after()
        self.work()

    def again(self) -> None:
        self.pipeline._queue.hurry()
        self.work()
