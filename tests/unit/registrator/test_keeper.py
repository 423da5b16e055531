# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs out is renewed in time, on a clock that only moves when somebody waits."""

from __future__ import annotations

import typing as t

import pytest
from fakes import Lines
from registrator.keeper import RENEWERS, Keeper
from registrator.registry import RegistryError, RegistryUnreachable


class World:
    """A registry in which every renewal takes ``cost`` seconds, of which several go on side by side."""

    def __init__(self, count: int, ttl: float, period: float, cost: float = 0.001) -> None:
        self.time, self.ttl, self.cost, self.away = 0.0, ttl, cost, False
        self.free_at = [0.0] * RENEWERS
        self.ttls: t.List[int] = []
        self.renewed = {f"s{number}": 0.0 for number in range(count)}
        self.longest: t.Dict[str, float] = {}
        self.refused: t.Set[str] = set()
        self.log = Lines()
        clock: t.Any = self
        self.keeper = Keeper("services", ttl, period, lambda: self.renewed, self.renew, self.ttls.append, self.log, clock)  # type: ignore[arg-type]

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        # A pause can be shorter than what the sum of two floating-point numbers shows.
        self.time += seconds + 1e-6

    def wake(self) -> None:
        """Nobody waits for long."""

    def renew(self, location: str) -> None:
        self.time += self.cost
        if self.away:
            raise RegistryUnreachable("away")
        if location in self.refused:
            raise RegistryError("403")
        self.longest[location] = max(self.longest.get(location, 0.0), self.time - self.renewed[location])
        self.renewed[location] = self.time

    def go_on(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            front = self.time = max(self.time, min(self.free_at))
            turn, pause = self.keeper.take_turn()
            if turn is None:
                self.wait(min(pause, max(0.0, end - self.time)))
                continue
            self.keeper.renew(turn)
            self.free_at[self.free_at.index(min(self.free_at))], self.time = self.time, front


@pytest.mark.parametrize("count, ttl, period", [(2000, 30, 10), (5000, 60, 20), (200, 5, 5 / 3), (100, 30, 10)])
def test_thousands_are_renewed_in_time(count: int, ttl: float, period: float) -> None:
    world = World(count, ttl, period)
    world.go_on(10 * ttl)
    assert len(world.longest) == count
    assert max(world.longest.values()) < ttl * 2 / 3
    assert (world.ttls, world.log) == ([], [])


def test_renewals_are_spread_over_the_period() -> None:
    world = World(1000, 30, 10)
    world.go_on(60)
    hurried = sorted(world.renewed.values())
    assert hurried[-1] - hurried[0] > 8, "renewed in a burst"


def test_where_renewing_takes_too_long_all_get_more_time_and_that_is_said_once() -> None:
    world = World(1000, 30, 10, cost=0.2)
    world.go_on(600)
    (ttl,) = world.ttls
    assert ttl >= 150
    assert len(world.log) == 1 and world.log[0].startswith("WARNING: renewing 1000 services takes some 50 s")
    world.longest.clear()
    world.go_on(ttl * 3)
    assert max(world.longest.values()) < ttl * 2 / 3


def test_the_time_that_is_wanted_is_given_again_when_renewing_takes_less() -> None:
    world = World(1000, 30, 10, cost=0.2)
    world.go_on(120)
    (longer,) = world.ttls
    world.cost = 0.001
    world.go_on(longer)
    world.longest.clear()
    world.go_on(300)
    assert world.ttls == [longer, 30]
    assert world.log[-1] == "renewing 1000 services takes some 0 s: their time to live is 30 s again"
    assert max(world.longest.values()) < 20


def test_what_is_slow_on_a_busy_machine_alone_is_renewed_side_by_side() -> None:
    world = World(1000, 30, 10, cost=0.03)
    world.go_on(300)
    assert max(world.longest.values()) < 20
    assert (world.ttls, world.log) == ([], [])


def test_a_registry_that_was_away_is_no_reason_for_more_time_and_all_is_renewed_when_it_is_back() -> None:
    world = World(500, 30, 10)
    world.go_on(30)
    world.away = True
    world.go_on(120)
    world.away = False
    back = world.time
    world.keeper.hurry()
    world.go_on(3)
    assert min(world.renewed.values()) > back
    assert (world.ttls, world.log) == ([], [])


def test_one_pause_is_no_reason_for_more_time() -> None:
    world = World(100, 30, 10)
    world.go_on(30)
    world.time += 25
    world.go_on(60)
    assert world.ttls == []


def test_what_is_refused_does_not_keep_the_others_and_is_said_once() -> None:
    world = World(10, 30, 10)
    world.refused.add("s3")
    world.go_on(100)
    assert world.log == ["403"]
    assert min(moment for location, moment in world.renewed.items() if location != "s3") > 80


def test_what_comes_later_is_kept_and_what_went_is_not_asked_for() -> None:
    world = World(2, 30, 10)
    world.go_on(20)
    del world.renewed["s0"]
    world.renewed["late"] = world.time
    world.longest.clear()
    world.go_on(100)
    assert set(world.longest) == {"s1", "late"}
    assert world.longest["late"] < 20
