# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to containers and registry, one look at a container makes its registration right."""

from __future__ import annotations

import time
import typing as t

import pytest
from containers import container, published
from fakes import FakeEngine, FakeRegistry, Lines
from hypothesis import given
from hypothesis import strategies as some
from registrator import draining
from registrator.metrics import Metrics
from registrator.options import Options
from registrator.reconcile import Reconciler
from registrator.registry import RegistryError
from registrator.workqueue import WorkQueue
from registrator.writer import Writer

OURS = "host1"


class Setup:
    def __init__(self, *containers: t.Dict[str, t.Any], options: Options = Options(ip="10.0.0.1")) -> None:  # noqa: B008 - it is frozen
        self.engine, self.registry, self.log = FakeEngine(*containers), FakeRegistry(OURS), Lines()
        metrics = Metrics()
        self.writer = Writer(self.registry, OURS, self.log, metrics)  # type: ignore[arg-type]
        self.reconciler = Reconciler(self.engine, self.writer, options, WorkQueue(), self.log, metrics)  # type: ignore[arg-type]

    def look(self, *keys: str, news: str = "") -> None:
        for key in keys:
            self.reconciler.converge(key, news)

    def compare(self) -> t.Set[str]:
        return self.writer.ledger.compare(self.registry.registered(), OURS, time.monotonic())


def test_a_container_comes_changes_and_goes() -> None:
    setup = Setup(container(id="a"))
    setup.look("a", "a")
    setup.engine.all["a"] = container(id="a", ports=published("80/tcp", first_host_port=9090))
    setup.look("a")
    assert setup.registry.held["host1:web.1:80"].service.port == 9090
    del setup.engine.all["a"]
    setup.look("a", "a")

    assert setup.registry.writes == ["+host1:web.1:80", "+host1:web.1:80", "-host1:web.1:80"]
    assert setup.log == ["added: a host1:web.1:80"] * 2 + ["removed: a host1:web.1:80"]


def test_a_death_is_enough_to_know() -> None:
    setup = Setup(container(id="a"))
    setup.look("a")
    setup.look("a", news="die")
    assert setup.registry.held == {}
    assert setup.engine.inspected == ["a"]


def test_the_new_container_of_a_name_keeps_the_id_when_the_old_one_goes_late() -> None:
    setup = Setup(container(id="old"), container(id="new"))
    setup.look("old", "new")
    del setup.engine.all["old"]
    setup.look("old")
    assert setup.registry.held["host1:web.1:80"].service.container == "new"


def test_the_other_container_of_an_id_gets_it_back() -> None:
    setup = Setup(container(id="a", env=["SERVICE_ID=x"]), container(id="b", env=["SERVICE_ID=x"]))
    setup.look("a", "b")
    del setup.engine.all["b"]
    setup.look("b")
    assert setup.registry.held == {}
    setup.look(*setup.compare())
    assert setup.registry.held["x"].service.container == "a"


@pytest.mark.parametrize("code, stays", [(0, False), (1, True), (127, True), (128, False), (137, False), (143, False)])
def test_only_a_success_removes_when_told_so(code: int, stays: bool) -> None:
    setup = Setup(container(id="a"), options=Options(ip="10.0.0.1", deregister="on-success"))
    setup.look("a")
    setup.engine.all["a"] = container(id="a", running=False, exit_code=code)
    setup.look("a", news="die")
    assert bool(setup.registry.held) is stays


def test_one_refused_port_does_not_keep_the_other_out() -> None:
    setup = Setup(container(id="a", ports=published("80/tcp", "443/tcp")))
    setup.registry.refuses["host1:web.1:443"] = RegistryError("403")
    with pytest.raises(RegistryError, match=r"register failed: host1:web\.1:443 403"):
        setup.look("a")
    assert list(setup.registry.held) == ["host1:web.1:80"]
    setup.registry.refuses.clear()
    setup.look("a")
    assert sorted(setup.registry.held) == ["host1:web.1:443", "host1:web.1:80"]


def test_what_the_registry_lost_or_has_otherwise_is_written_again() -> None:
    setup = Setup(container(id="a"), container(id="b", name="db"))
    setup.look("a", "b")
    assert setup.compare() == set()
    before = setup.registry.registered()
    del setup.registry.held["host1:web.1:80"]
    changed = setup.registry.held["host1:db:80"]
    setup.registry.held["host1:db:80"] = changed.__class__(changed.service, "something else", "")
    setup.look(*setup.compare())
    assert setup.registry.held == before


def test_what_the_registry_lost_of_a_container_that_went_meanwhile_is_forgotten() -> None:
    setup = Setup(container(id="a"))
    setup.look("a")
    setup.registry.held.clear()
    del setup.engine.all["a"]
    setup.look(*setup.compare())
    assert len(setup.writer.ledger) == 0
    assert "a" not in setup.writer.ledger
    assert not setup.writer.ledger.holds("a", "host1:web.1:80")


def test_what_an_earlier_run_left_is_taken_over_and_removed_when_its_container_is_gone() -> None:
    earlier = Setup(container(id="a", env=["SERVICE_ID=custom"]), container(id="b", name="db"))
    earlier.look("a", "b")
    later = Setup(container(id="b", name="db"))
    later.registry.held = earlier.registry.held
    later.look(*later.compare())
    assert list(later.registry.held) == ["host1:db:80"]
    assert later.registry.writes == ["-custom"]


def test_what_others_registered_is_never_touched() -> None:
    other = Setup(container(id="z", env=["SERVICE_ID=x"]))
    other.registry.host = "host2"
    other.look("z")
    unmarked = FakeRegistry("")
    unmarked.register(other.registry.held["x"].service.__class__("host1:foreign:80", "f", "", 1, ""))
    ours = Setup()
    ours.registry.held = {**other.registry.held, **unmarked.held}
    assert ours.compare() == set()


def test_two_registrators_that_want_one_id_do_not_fight() -> None:
    ours, theirs = Setup(container(id="a", env=["SERVICE_ID=x"])), Setup(container(id="z", env=["SERVICE_ID=x"]))
    theirs.registry.host = theirs.writer.hostname = "host2"
    theirs.registry.held = ours.registry.held
    ours.look("a")
    theirs.look("z")
    assert ours.compare() == set()
    ours.look("a", news="die")
    assert ours.registry.held["x"].host == "host2"


def test_a_comparison_does_not_judge_what_was_written_meanwhile() -> None:
    setup = Setup(container(id="a"))
    asked = time.monotonic()
    answer = setup.registry.registered()
    setup.look("a")
    assert setup.writer.ledger.compare(answer, OURS, asked) == set()


def test_a_change_of_health_is_told_and_nothing_else_is_written() -> None:
    setup = Setup(container(id="a", health="starting"), options=Options(ip="10.0.0.1", health_checks=True))
    setup.look("a")
    for status in ("starting", "healthy", "healthy", "unhealthy"):
        setup.engine.all["a"] = container(id="a", health=status)
        setup.look("a")
    setup.writer.renew_health()
    assert setup.registry.writes == [f"{word}host1:web.1:80" for word in ("+", "passing ", "critical ", "critical ")]


def test_a_check_that_the_registry_lost_comes_back_with_its_service() -> None:
    class Forgetful(FakeRegistry):
        def report(self, service: t.Any) -> None:
            raise RegistryError("unknown check")

    setup = Setup(container(id="a", health="healthy"), options=Options(ip="10.0.0.1", health_checks=True))
    setup.look("a")
    setup.writer.registry = Forgetful(OURS)
    setup.writer.renew_health()
    assert setup.writer.registry.writes == ["+host1:web.1:80"]


@pytest.mark.parametrize("what, write", [("deregister", "-"), ("maintenance", "maintenance ")])
def test_what_is_told_to_stop_goes_out_of_service_at_once(what: str, write: str) -> None:
    setup = Setup(container(id="a"), options=Options(ip="10.0.0.1", on_container_stop=what))
    setup.look("a")
    setup.look("a", news="kill:1")
    setup.look("a", news="kill:15")
    setup.look("a")
    assert setup.registry.writes == ["+host1:web.1:80", write + "host1:web.1:80"]
    setup.look("a", news="die")
    setup.look("a", news="start")
    assert setup.registry.writes[-1] == "+host1:web.1:80"


def test_what_is_told_to_stop_and_goes_on_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "SPARE_S", -draining.DEFAULT_STOP_TIMEOUT_S)
    setup = Setup(container(id="a"), options=Options(ip="10.0.0.1", on_container_stop="deregister"))
    setup.look("a")
    setup.look("a", news="kill:15")
    assert setup.reconciler.draining.overdue() == ["a"]
    setup.look("a")
    assert setup.registry.writes == [f"{sign}host1:web.1:80" for sign in "+-+"]


@pytest.mark.parametrize(
    "own, news, wanted",
    [("", "kill:15", True), ("", "kill:1", False), ("SIGHUP", "kill:1", True), ("37", "kill:37", True), ("QUIT", "kill:3", True), ("", "die", False)],
)
def test_which_signal_ends_a_container(own: str, news: str, wanted: bool) -> None:
    assert draining.asks_to_stop(news, {"StopSignal": own}) is wanted


STEPS = some.lists(some.tuples(some.sampled_from("abc"), some.sampled_from(["start", "stop", "look", "die", "lose", "compare"]), some.integers(1, 3)))


@given(steps=STEPS)
def test_in_the_end_the_registry_equals_the_running_containers(steps: t.List[t.Tuple[str, str, int]]) -> None:
    setup = Setup()
    for key, step, port in steps:
        if step == "start":
            setup.engine.all[key] = container(id=key, name="web" + "x" * (key == "c"), ports=published("80/tcp", first_host_port=port))
        elif step == "stop":
            setup.engine.all.pop(key, None)
        elif step == "lose":
            setup.registry.held.clear()
        elif step == "compare":
            setup.look(*setup.compare())
        else:
            setup.look(key, news="die" if step == "die" and key not in setup.engine.all else "")
    setup.look(*"abc")
    for _time in range(2):
        setup.look(*setup.compare())

    running = {container["Name"] for container in setup.engine.all.values()}
    assert {f"/{service_id.split(':')[1]}" for service_id in setup.registry.held} == running
    for entry in setup.registry.held.values():
        bound = setup.engine.all[entry.service.container]["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
        assert entry.service.port == int(bound)
