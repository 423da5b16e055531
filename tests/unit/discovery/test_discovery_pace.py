# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No agent is flooded, whatever it answers."""

from __future__ import annotations

import threading
import time
import types
import typing as t

import pytest
from consul_discovery import Client, pace
from fake_consul import FakeConsul, Request, entry, eventually, http

Connect = t.Callable[..., Client]


class Clock(threading.Event):
    """Waiting moves it on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.pauses: t.List[float] = []

    def wait(self, timeout: t.Optional[float] = None) -> bool:
        self.now += timeout or 0
        self.pauses.append(timeout or 0)
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_burst_of_ten_then_five_a_second(clock: Clock) -> None:
    bucket = pace.TokenBucket()
    assert all(bucket.wait(clock) for _unused in range(10)) and clock.pauses == []
    assert all(bucket.wait(clock) for _unused in range(50))
    assert clock.now == pytest.approx(1010, abs=0.1)
    clock.now += 3600
    clock.pauses.clear()
    assert all(bucket.wait(clock) for _unused in range(10)) and clock.pauses == [], "an hour saves up no more than a burst"
    bucket.wait(clock)
    assert sum(clock.pauses) == pytest.approx(0.2, abs=0.01)


def test_waiting_ends_with_the_watch(clock: Clock) -> None:
    bucket = pace.TokenBucket(burst=1)
    assert bucket.wait(clock)
    clock.set()
    assert not bucket.wait(clock)


def test_pauses_grow_to_some_seconds_and_are_never_the_same(clock: Clock) -> None:
    backoff = pace.Backoff()
    for _unused in range(2000):
        backoff.wait(clock)
    assert 0.05 <= clock.pauses[0] <= 0.1 and 0.1 <= clock.pauses[1] <= 0.2
    assert all(1.5 <= pause <= 3 for pause in clock.pauses[5:]) and len(set(clock.pauses)) > 1000
    backoff.reset()
    backoff.wait(clock)
    assert clock.pauses[-1] <= 0.1


def test_many_changes_are_read_at_most_ten_at_once_and_then_five_a_second(consul: FakeConsul, connect: Connect) -> None:
    numbers = iter(range(10, 10**9))
    consul.script = lambda _unused: http([entry()], X_Consul_Index=str(next(numbers)))
    began = time.monotonic()
    connect().watch("web").wait(5)
    eventually(lambda: len(consul.requests) >= 14)
    assert len(consul.requests) <= 10 + 5 * (time.monotonic() - began) + 1


def test_an_agent_that_refuses_is_asked_less_and_less(consul: FakeConsul, connect: Connect) -> None:
    consul.script = lambda _unused: http(b"no", 500)
    began = time.monotonic()
    connect().watch("web")
    eventually(lambda: len(consul.requests) >= 5)
    # 0.1 + 0.2 + 0.4 + 0.8 s, each shortened by half at most
    assert time.monotonic() - began > 0.75


@pytest.mark.parametrize("index", ["0", "-3", None, "x", "1e5", "9" * 30, "٣"])
def test_an_index_below_one_is_never_sent_and_never_makes_a_busy_loop(consul: FakeConsul, connect: Connect, index: t.Optional[str]) -> None:
    names = (f"web-{number}" for number in range(1000))
    header = index.encode().decode("latin-1") if index else None

    def reply(_unused: Request) -> bytes:
        text = http([entry(next(names))], X_Consul_Index=None)
        return text if header is None else text.replace(b"\r\n", b"\r\nX-Consul-Index: " + header.encode("latin-1") + b"\r\n", 1)

    consul.script = reply
    web = connect().watch("web")
    web.wait(5)
    eventually(lambda: len(consul.health_requests()) >= 4)
    assert [request.index for request in consul.health_requests()][:4] == [None, 1, 1, 1]
    gaps = _gaps(consul, web)
    assert gaps > 0.05, "each is asked later than the one before"


def _gaps(consul: FakeConsul, web: t.Any) -> float:
    """Return the seconds between two requests, after the first four."""
    count, began = len(consul.requests), time.monotonic()
    eventually(lambda: len(consul.requests) >= count + 1)
    return time.monotonic() - began
