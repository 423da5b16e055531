# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to containers and registry, one look at a container makes its registration right."""

from __future__ import annotations

import time
import typing as t

import pytest
from containers import container, published
from fakes import FakeRegistry, Setup
from registrator.mark import Owner
from registrator.news import DIED, LOOK, STARTED
from registrator.options import Options
from registrator.registry import RegistryError, RegistryUnreachable
from registrator.service import Found, Service
from registrator.template import Template, TemplateError

WEB = "host1:web.1:80"


def test_a_container_comes_changes_and_goes() -> None:
    setup = Setup(container(id="a"))
    setup.look("a", "a")
    setup.engine.all["a"] = container(id="a", ports=published("80/tcp", first_host_port=9090))
    setup.look("a")
    assert setup.registry.services[WEB].port == 9090
    del setup.engine.all["a"]
    setup.look("a", "a")

    assert setup.registry.writes == [f"+{WEB}", f"+{WEB}", f"-{WEB}"]
    assert setup.log == [f"added: a {WEB}"] * 2 + [f"removed: a {WEB}"]


def test_a_death_is_enough_to_know() -> None:
    setup = Setup(container(id="a"))
    setup.look("a")
    setup.look("a", news=DIED)
    assert setup.registry.held == {}
    assert setup.engine.inspected == ["a"]


def test_a_death_is_not_believed_when_there_is_a_reason_to_look() -> None:
    setup = Setup(container(id="a"))
    setup.look("a")
    setup.reconciler.converge("a", frozenset({DIED, LOOK}))
    assert setup.registry.writes == [f"+{WEB}"]


def test_the_new_container_of_a_name_keeps_the_id_when_the_old_one_goes_late() -> None:
    setup = Setup(container(id="old"), container(id="new"))
    setup.look("old", "new")
    del setup.engine.all["old"]
    setup.look("old")
    assert setup.registry.held[WEB].container == "new"


def test_an_id_that_two_containers_chose_belongs_to_the_first_until_it_goes() -> None:
    setup = Setup(container(id="a", env=["SERVICE_ID=x"]), container(id="b", env=["SERVICE_ID=x"]))
    setup.look("a", "b", "b")
    assert setup.registry.writes == ["+x"]
    assert "warning: b x is the id of another container of this host, a: left alone, and this container waits for it" in setup.log
    del setup.engine.all["a"]
    setup.look("a", news=DIED)
    assert setup.looked_at == {"b"}
    setup.look("b")
    assert setup.registry.held["x"].container == "b"


def test_the_container_whose_own_id_it_is_takes_it_from_one_that_chose_it() -> None:
    setup = Setup(container(id="thief", name="thief", env=[f"SERVICE_ID={WEB}"]), container(id="a"))
    setup.look("thief", "a", "thief")
    assert setup.registry.held[WEB].container == "a"
    setup.look("thief", news=DIED)
    assert setup.registry.held[WEB].container == "a"


@pytest.mark.parametrize("there", [Found("payments", "f", "", "", "pay", "10.0.0.9:1"), Found("payments", "f", "other", "z")])
def test_what_somebody_else_registered_is_left_alone_whatever_id_a_container_chooses(there: Found) -> None:
    setup = Setup(container(id="a", env=["SERVICE_ID=pay"]))
    setup.registry.held["pay"] = there
    setup.look("a", "a")
    setup.look("a", news=DIED)
    assert (setup.registry.writes, setup.registry.held) == ([], {"pay": there})
    assert len([line for line in setup.log if line.startswith("warning: a pay ")]) == 1


def test_who_waits_for_an_id_gets_it_when_it_is_free() -> None:
    setup = Setup(container(id="a", env=["SERVICE_ID=pay"]))
    setup.registry.held["pay"] = Found("payments", "f", "other", "z")
    setup.look("a")
    assert setup.compare().unknown == set()
    setup.registry.held.clear()
    setup.repair()
    assert setup.registry.held["pay"].container == "a"


@pytest.mark.parametrize("cleanup, taken", [(True, True), (False, False)])
def test_what_the_original_registered_under_a_chosen_id_is_taken_over_with_cleanup(cleanup: bool, taken: bool) -> None:
    setup = Setup(container(id="a", env=["SERVICE_ID=pay"]), options=Options(ip="10.0.0.1", cleanup=cleanup))
    setup.registry.held["pay"] = Found("nginx", "f", "", "", "pay", "10.0.0.1:8080")
    setup.look("a")
    assert bool(setup.registry.writes) is taken


def test_what_the_original_registered_under_an_id_of_ours_is_taken_over() -> None:
    setup = Setup(container(id="a"))
    setup.registry.held[WEB] = Found("nginx", "f", "", "", WEB, "10.0.0.1:8080")
    setup.look("a")
    assert setup.registry.writes == [f"+{WEB}"]


@pytest.mark.parametrize("code, stays", [(0, False), (1, True), (127, True), (128, False), (137, False), (143, False)])
def test_only_a_success_removes_when_told_so(code: int, stays: bool) -> None:
    setup = Setup(container(id="a"), options=Options(ip="10.0.0.1", deregister="on-success"))
    setup.look("a")
    setup.engine.all["a"] = container(id="a", running=False, exit_code=code)
    setup.look("a", news=DIED)
    assert bool(setup.registry.held) is stays


def test_one_refused_port_does_not_keep_the_other_out() -> None:
    setup = Setup(container(id="a", ports=published("80/tcp", "443/tcp")))
    setup.registry.refuses["host1:web.1:443"] = RegistryError("403")
    with pytest.raises(RegistryError, match=r"register failed: host1:web\.1:443 403"):
        setup.look("a")
    assert list(setup.registry.held) == [WEB]
    setup.registry.refuses.clear()
    setup.look("a")
    assert sorted(setup.registry.held) == ["host1:web.1:443", WEB]


def test_a_refused_removal_does_not_keep_a_new_port_out() -> None:
    setup = Setup(container(id="a"))
    setup.look("a")
    setup.engine.all["a"] = container(id="a", ports=published("443/tcp"))
    setup.registry.refuses[WEB] = RegistryError("404")
    with pytest.raises(RegistryError, match="deregister failed"):
        setup.look("a")
    assert "host1:web.1:443" in setup.registry.held


def test_what_the_registry_lost_or_has_otherwise_is_written_again_from_memory() -> None:
    setup = Setup(container(id="a"), container(id="b", name="db"))
    setup.look("a", "b")
    assert setup.compare() == (set(), set())
    before = setup.registry.registered()
    del setup.registry.held[WEB]
    setup.registry.held["host1:db:80"] = Found("nginx", "something else", "", "", "host1:db:80", "1.2.3.4:5")
    setup.engine.inspected.clear()
    setup.repair()
    assert setup.registry.held == before
    assert setup.engine.inspected == []


def test_what_the_registry_lost_of_a_container_that_went_meanwhile_is_forgotten() -> None:
    setup = Setup(container(id="a"))
    setup.look("a")
    setup.registry.held.clear()
    del setup.engine.all["a"]
    setup.look("a", news=DIED)
    setup.repair()
    assert (setup.registry.held, len(setup.registrations), "a" in setup.registrations) == ({}, 0, False)


def test_what_an_earlier_run_left_is_taken_over_and_removed_when_its_container_is_gone() -> None:
    earlier = Setup(container(id="a", env=["SERVICE_ID=custom"]), container(id="b", name="db"))
    earlier.look("a", "b")
    later = Setup(container(id="b", name="db"))
    later.registry.held = earlier.registry.held
    later.repair()
    assert list(later.registry.held) == ["host1:db:80"]
    assert later.registry.writes == ["-custom"]


def test_a_new_container_of_a_chosen_id_does_not_wait_for_one_that_went_while_nobody_looked() -> None:
    earlier = Setup(container(id="a", env=["SERVICE_ID=custom"]))
    earlier.look("a")
    later = Setup(container(id="b", env=["SERVICE_ID=custom"]))
    later.registry.held = earlier.registry.held
    later.compare()
    later.look("b", "a")
    assert later.registry.writes == ["+custom"]


def test_what_bears_the_hosts_name_alone_is_taken_over_once() -> None:
    earlier = Setup(container(id="a"), container(id="b", name="gone"))
    earlier.look("a", "b")
    later = Setup(container(id="a"), owner=Owner("host1-5f", "host1"))
    later.registry.held = earlier.registry.held
    for _time in range(2):
        later.repair()
    assert sorted(later.registry.writes) == [f"+{WEB}", "-host1:gone:80"]
    assert later.registry.held[WEB].owner == "host1-5f"


def test_what_others_registered_is_never_touched() -> None:
    theirs = {"x": Found("x", "f", "host2", "z"), "host1:foreign:80": Found("f", "f", "", "", "host1:foreign:80", "1.2.3.4:1")}
    ours = Setup()
    ours.registry.held = dict(theirs)
    assert ours.compare() == (set(), set())
    ours.repair()
    assert ours.registry.held == theirs


def test_two_registrators_that_want_one_id_do_not_fight() -> None:
    ours = Setup(container(id="a", env=["SERVICE_ID=x"]))
    theirs = Setup(container(id="z", env=["SERVICE_ID=x"]), owner=Owner("host2", "host2"))
    theirs.registry.held = ours.registry.held
    ours.look("a")
    theirs.look("z")
    assert (ours.compare(), theirs.compare()) == ((set(), set()), (set(), set()))
    theirs.look("z", news=DIED)
    assert ours.registry.held["x"].owner == "host1"


def test_what_another_registrator_took_over_is_left_to_it() -> None:
    ours = Setup(container(id="a", env=["SERVICE_ID=x"]))
    ours.look("a")
    ours.registry.held["x"] = Found("x", "f", "host2", "z")
    assert ours.compare() == (set(), set())
    ours.look("a", news=DIED)
    assert ours.registry.held["x"].owner == "host2"


def test_a_comparison_does_not_judge_what_was_written_meanwhile() -> None:
    class Slow(FakeRegistry):
        meanwhile: t.ClassVar[t.List[str]] = ["a"]

        def registered(self) -> t.Mapping[str, Found]:
            answer = super().registered()
            while self.meanwhile:
                setup.look(self.meanwhile.pop())
            return answer

    setup = Setup(container(id="a"), registry=Slow())
    assert setup.compare() == (set(), set())
    assert setup.registry.writes == [f"+{WEB}"]


def test_an_id_of_ours_that_no_request_can_name_is_left_alone_and_told_once() -> None:
    setup = Setup()
    strange = {"../deregister/payments": Found("x", "f", "host1", "gone")}
    setup.registry.held = dict(strange)
    for _time in range(2):
        setup.repair()
    assert setup.registry.held == strange
    assert len(setup.log) == 1 and "no request can name it" in setup.log[0]


def test_a_change_of_health_is_told_and_nothing_else_is_written() -> None:
    setup = Setup(container(id="a", health="starting"), options=Options(ip="10.0.0.1", health_checks=True))
    setup.look("a")
    for status in ("starting", "healthy", "healthy", "unhealthy"):
        setup.engine.all["a"] = container(id="a", health=status)
        setup.look("a")
    setup.registrations.renew_health(WEB)
    assert setup.registry.writes == [f"{word}{WEB}" for word in ("+", "passing ", "critical ", "critical ")]


def test_a_change_of_health_that_could_not_be_told_is_told_later() -> None:
    setup = Setup(container(id="a", health="starting"), options=Options(ip="10.0.0.1", health_checks=True))
    setup.look("a")
    setup.engine.all["a"] = container(id="a", health="healthy")
    setup.registry.away = RegistryUnreachable("away")
    with pytest.raises(RegistryUnreachable):
        setup.look("a")
    setup.registry.away = None
    setup.look("a", "a")
    assert setup.registry.writes == [f"+{WEB}", f"passing {WEB}"]


class Forgetful(FakeRegistry):
    """Loses a check once it is registered, and keeps it when it is registered again."""

    def report(self, service: Service) -> None:
        if self.writes.count(f"+{service.id}") < 2:
            raise RegistryError("unknown check")
        super().report(service)


def test_a_check_that_the_registry_lost_comes_back_with_its_service() -> None:
    setup = Setup(container(id="a", health="healthy"), options=Options(ip="10.0.0.1", health_checks=True), registry=Forgetful())
    setup.look("a")
    setup.registrations.renew_health(WEB)
    assert setup.registry.writes == [f"+{WEB}", f"+{WEB}", f"passing {WEB}"]


def test_renewing_health_does_not_bring_back_what_has_ended() -> None:
    setup = Setup(container(id="a", health="healthy"), options=Options(ip="10.0.0.1", health_checks=True), registry=Forgetful())
    setup.look("a")
    kept = list(setup.registrations.services())
    setup.look("a", news=DIED)
    for location in kept:
        setup.registrations.renew_health(location)
    assert (setup.registry.held, setup.registry.writes[-1]) == ({}, f"-{WEB}")


def test_what_is_to_go_and_cannot_is_not_renewed() -> None:
    setup = Setup(container(id="a", health="healthy"), options=Options(ip="10.0.0.1", health_checks=True))
    setup.look("a")
    setup.registry.refuses[WEB] = RegistryError("403")
    with pytest.raises(RegistryError):
        setup.look("a", news=DIED)
    setup.registry.refuses.clear()
    setup.registrations.renew_health(WEB)
    assert setup.registry.writes == [f"+{WEB}"]


def drained(what: str) -> Setup:
    return Setup(container(id="a"), options=Options(ip="10.0.0.1", on_container_stop=what))


@pytest.mark.parametrize("what, write", [("deregister", "-"), ("maintenance", "maintenance ")])
def test_what_is_told_to_stop_goes_out_of_service_at_once(what: str, write: str) -> None:
    setup = drained(what)
    setup.look("a")
    setup.look("a", news="kill:1")
    setup.look("a", news="kill:15")
    setup.look("a")
    assert setup.registry.writes == [f"+{WEB}", write + WEB]
    setup.look("a", news=DIED)
    setup.look("a", news=STARTED)
    assert setup.registry.writes[-1] == f"+{WEB}"


@pytest.mark.parametrize("what, write", [("deregister", "-"), ("maintenance", "maintenance ")])
def test_what_could_not_be_taken_out_of_service_is_taken_out_later(what: str, write: str) -> None:
    setup = drained(what)
    setup.look("a")
    setup.registry.refuses[WEB] = RegistryError("500")
    with pytest.raises(RegistryError):
        setup.look("a", news="kill:15")
    setup.registry.refuses.clear()
    setup.look("a", "a")
    assert setup.registry.writes == [f"+{WEB}", write + WEB]


@pytest.mark.parametrize("what, writes", [("deregister", ["-", "+"]), ("maintenance", ["maintenance ", "in service "])])
def test_what_is_told_to_stop_and_goes_on_comes_back_even_if_the_registry_was_away_then(what: str, writes: t.List[str]) -> None:
    setup, now = drained(what), [time.monotonic()]
    setup.reconciler.draining._clock = lambda: now[0]
    setup.look("a")
    setup.look("a", news="kill:15")
    assert setup.reconciler.draining.overdue() == []
    now[0] += 16
    setup.registry.away = RegistryUnreachable("away")
    with pytest.raises(RegistryUnreachable):
        setup.look("a")
    assert setup.reconciler.draining.overdue() == ["a"]
    setup.registry.away = None
    setup.look("a", "a")
    assert setup.registry.writes == [f"{sign}{WEB}" for sign in ("+", *writes)]
    assert setup.reconciler.draining.overdue() == []


def test_a_template_that_fails_for_one_container_leaves_what_it_had() -> None:
    earlier = Setup(container(id="a"))
    earlier.look("a")
    setup = Setup(container(id="a"), options=Options(ip="10.0.0.1", tags=Template("{{index .Config.Env 9}}")))
    setup.registry.held = earlier.registry.held
    setup.compare()
    with pytest.raises(TemplateError):
        setup.look("a")
    assert setup.registrations.has_seen({"a"})
    assert setup.registry.writes == []
