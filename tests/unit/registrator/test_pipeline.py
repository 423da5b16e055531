# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts put together, on an engine and a registry in memory: worked step by step, without threads."""

from __future__ import annotations

import pytest
from containers import container, published
from registrator.engine import EngineError
from registrator.news import DIED, LOOK, STARTED
from registrator.options import Options
from registrator.registry import RegistryError, RegistryUnreachable
from registrator.template import Template
from world import World

WEB = "host1:web.1:80"


def test_what_runs_is_registered_what_comes_and_goes_follows_and_nothing_is_written_when_nothing_changed() -> None:
    world = World(container(id="a"))
    world.start()
    world.engine.all["b"] = container(id="b", name="db")
    world.hear("b", STARTED)
    world.work()
    del world.engine.all["a"]
    world.hear("a", DIED)
    world.work()
    for _time in range(3):
        world.state.list_changes()
        world.look_after()
    assert world.registry.writes == [f"+{WEB}", "+host1:db:80", f"-{WEB}"]
    assert world.pipeline.health() == {"healthy": True, "engine": True, "registry": True, "services": 1, "queue": 0}


@pytest.mark.parametrize("step", ["start", "event", "death"])
def test_a_registry_that_goes_away_at_any_step_is_right_again_when_it_is_back(step: str) -> None:
    away = RegistryUnreachable("agent: Connection refused")
    world = World(container(id="a"))
    world.registry.away = away if step == "start" else None
    world.start()
    world.registry.away = away
    if step != "start":
        world.engine.all["b"] = container(id="b", name="db")
        world.hear("b", STARTED)
    if step == "death":
        del world.engine.all["a"]
        world.hear("a", DIED)
    world.look_after()
    assert not world.pipeline.health()["registry"]
    world.registry.away = None
    world.look_after()
    assert set(world.registry.held) == {"start": {WEB}, "event": {WEB, "host1:db:80"}, "death": {"host1:db:80"}}[step]
    assert world.pipeline.health()["healthy"]


def test_one_service_that_is_refused_keeps_no_other_out_and_comes_when_it_may() -> None:
    world = World(container(id="a"), container(id="b", name="db"))
    world.registry.refuses[WEB] = RegistryError("403")
    world.start()
    assert list(world.registry.held) == ["host1:db:80"]
    world.registry.refuses.clear()
    world.again()
    assert len(world.registry.held) == 2


def test_an_engine_whose_events_are_refused_is_not_well_however_often_it_lists() -> None:
    world = World(container(id="a"))
    world.start()
    world.state._not_watched(EngineError("403"))
    for _time in range(3):
        world.state.list_changes()
    assert (world.pipeline.health()["engine"], world.pipeline.health()["healthy"]) == (False, False)
    assert len([line for line in world.log if "403" in line]) == 1
    world.engine.refuses_events = EngineError("403")
    with pytest.raises(EngineError, match="403"):
        world.state.start()


def test_an_engine_that_hangs_costs_nothing_but_news() -> None:
    world = World(container(id="a"))
    world.start()
    world.engine.away = EngineError("read timed out")
    world.hear("a", LOOK)
    world.state.list_changes()
    world.look_after()
    assert (world.registry.writes, world.pipeline.health()["engine"]) == ([f"+{WEB}"], False)
    world.engine.away = None
    world.state.list_changes()
    world.again()
    assert world.pipeline.health()["healthy"]


def test_what_the_registry_lost_is_written_from_memory() -> None:
    world = World(*(container(id=f"c{number}", name=f"web{number}") for number in range(50)))
    world.start()
    world.registry.held.clear()
    world.engine.inspected.clear()
    world.look_after()
    assert (len(world.registry.held), world.engine.inspected) == (50, [])


def test_a_restarted_container_does_not_flap_when_its_death_is_told_again() -> None:
    world = World(container(id="a"))
    world.start()
    for news in (LOOK, LOOK):  # what `engine` makes of a death and a start before it watched
        world.hear("a", news)
    world.work()
    assert world.registry.writes == [f"+{WEB}"]


def test_another_address_of_the_host_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["10.0.0.1"]
    monkeypatch.setattr("registrator.host_address.default_address", lambda: addresses[-1])
    world = World(container(id="a"), options=Options())
    world.start()
    world.pipeline._look_at_address()
    addresses.append("10.0.0.2")
    world.pipeline._look_at_address()
    world.work()
    assert world.registry.services[WEB].address == "10.0.0.2"


def test_leaving_removes_all_that_it_may() -> None:
    world = World(*(container(id=f"c{number}", name=f"web{number}") for number in range(4)), options=Options(ip="10.0.0.1", on_exit="deregister"))
    world.start()
    world.registry.refuses["host1:web1:80"] = RegistryError("403")
    world.pipeline.leave()
    assert list(world.registry.held) == ["host1:web1:80"]


def test_more_time_to_live_is_written_for_all() -> None:
    world = World(container(id="a", health="healthy"), options=Options(ip="10.0.0.1", health_checks=True))
    world.start()
    world.pipeline._set_ttl(120)
    world.work()
    # A check that ran out meanwhile is still critical after it was written again, so it is told how the service is.
    assert world.registry.writes == [f"+{WEB}", f"+{WEB}", f"passing {WEB}"]
    world.look_after()
    assert len(world.registry.writes) == 3


@pytest.mark.parametrize("others, ends", [(0, True), (1, False)])
def test_a_template_ends_the_start_only_when_it_fails_for_all(others: int, ends: bool) -> None:
    world = World(container(id="a", env=[]), options=Options(ip="10.0.0.1", tags=Template("{{index .Config.Env 0}}")))
    for number in range(others):
        world.engine.all[f"o{number}"] = container(id=f"o{number}", name=f"o{number}", env=["A=1"], ports=published("80/tcp"))
    reconciler, ended = world.pipeline._reconciler, []
    world.pipeline.ended = lambda: ended.append(True)
    world.state._sync()
    while world.pipeline._queue.is_busy():
        work = world.pipeline._queue.get()
        assert work
        try:
            reconciler.converge(work.key, work.news)
        except Exception as error:
            reconciler._failed(work.key, error)
            world.pipeline._queue.failed(work)
        else:
            world.pipeline._queue.done(work)
    world.pipeline._look_after()
    assert bool(ended) is ends and bool(world.pipeline.fatal) is ends


def test_a_registry_that_may_have_restarted_is_compared_with_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(container(id="a")), []
    world.start()
    monkeypatch.setattr(world.pipeline._schedules[1], "soon", asked.append)
    world.pipeline._look_at_connection()
    assert asked == []
    monkeypatch.setattr(world.registry, "may_have_restarted", lambda: True)
    world.pipeline._look_at_connection()
    assert asked == ["compare"]
