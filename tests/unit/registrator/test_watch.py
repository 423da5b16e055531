# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event stream is read through every interruption."""

from __future__ import annotations

import threading
import typing as t

import pytest
from registrator.engine import EngineError, Event
from registrator.watch import Watch


class Engine:
    """Gives one stream after the other; a stream that is an error stands for an engine that is away."""

    def __init__(self, *streams: t.Union[t.List[str], EngineError]) -> None:
        self.streams = list(streams)

    def events(self) -> t.Iterator[Event]:
        stream = self.streams.pop(0)
        if isinstance(stream, EngineError):
            raise stream
        return self._read(stream)

    def _read(self, actions: t.List[str]) -> t.Iterator[Event]:
        for action in actions:
            if action == "break":
                raise EngineError("broken")
            yield Event("c", action)
        if not self.streams:
            threading.Event().wait()

    def forget_version(self) -> None:
        """There is none."""


def test_it_goes_on_after_a_break_an_end_and_an_absence() -> None:
    happened: t.List[str] = []
    seen = threading.Event()

    def heard(event: Event) -> None:
        happened.append(event.news)
        if event.news == "last":
            seen.set()

    away = EngineError("away")
    engine: t.Any = Engine(["start", "break"], away, away, ["die"], ["last"])
    watch = Watch(engine, heard, lambda error: happened.append(f"lost: {error}"), lambda: happened.append("back"))
    watch.start()

    assert seen.wait(20)
    watch.stop()
    assert happened == ["start", "lost: broken", "lost: away", "lost: away", "back", "die", "lost: Docker event stream closed", "back", "last"]


def test_streams_that_end_at_once_are_asked_for_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: t.List[float] = []
    engine: t.Any = Engine(*[["break"]] * 12, [])
    watch = Watch(engine, print, lambda error: None, lambda: None)
    monkeypatch.setattr(watch._stopping, "wait", lambda pause: (pauses.append(pause), len(pauses) > 11)[1])
    monkeypatch.setattr(watch._stopping, "is_set", lambda: len(pauses) > 11)
    watch._read(engine.events())
    assert pauses[0] < 1 and pauses[-1] == 30.0


def test_an_engine_that_is_away_at_the_start_is_an_error() -> None:
    engine: t.Any = Engine(EngineError("away"))
    with pytest.raises(EngineError, match="away"):
        Watch(engine, print, print, print).start()
