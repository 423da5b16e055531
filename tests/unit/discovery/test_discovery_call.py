# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call is tried on other instances, and whoever failed rests."""

from __future__ import annotations

import threading
import typing as t

import pytest
from consul_discovery import Client, Instance, NoInstances, Watch, by_meta, least_outstanding
from consul_discovery.outliers import Outliers
from fake_consul import FakeConsul, entry, eventually

Connect = t.Callable[..., Client]


@pytest.fixture
def web(consul: FakeConsul, connect: Connect) -> Watch:
    consul.set(*(entry(name, Meta={"zone": "x" if name == "a" else "y"}) for name in "abcd"))
    watch = connect().watch("web")
    watch.wait(5)
    return watch


class Service:
    """Notes who was called, and fails for some."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.called = set(failing), t.cast("t.List[str]", [])

    def __call__(self, instance: Instance) -> str:
        self.called.append(instance.id)
        if instance.id in self.failing:
            raise ConnectionError(instance.id)
        return instance.id


def test_the_result_is_the_functions(web: Watch) -> None:
    assert web.call(lambda one: one.port) == 80


def test_another_instance_is_tried(web: Watch) -> None:
    service = Service("a", "b")
    for _unused in range(8):
        assert web.call(service, attempts=3, retry_on=(OSError,)) in "cd"
    assert len(service.called) == 10, "each of the two that fail was called once, then left out"


def test_the_last_error_is_raised_unchanged(web: Watch) -> None:
    service = Service(*"abcd")
    with pytest.raises(ConnectionError) as error:
        web.call(service, attempts=3, retry_on=OSError)
    assert len(set(service.called)) == 3 and str(error.value) == service.called[-1]
    assert error.traceback[-1].name == "__call__"


def test_no_instance_is_tried_twice(web: Watch) -> None:
    service = Service(*"abcd")
    with pytest.raises(ConnectionError):
        web.call(service, attempts=100, retry_on=(OSError,))
    assert sorted(service.called) == list("abcd")


def test_nothing_is_tried_again_unless_it_was_asked_for(web: Watch) -> None:
    service = Service(*"abcd")
    for retry_on in ((), (ValueError,)):
        with pytest.raises(ConnectionError):
            web.call(service, retry_on=retry_on)
    assert len(service.called) == 2
    service.failing.clear()
    assert {web.call(service) for _unused in range(4)} == set("abcd"), "an error that is none of the instance's leaves it in"


def test_attempts_are_at_least_one(web: Watch) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        web.call(str, attempts=0)


def test_an_instance_that_came_meanwhile_is_tried(consul: FakeConsul, web: Watch) -> None:
    consul.set(entry("a"))
    eventually(lambda: len(web.instances) == 1)

    def function(instance: Instance) -> str:
        if instance.id == "a":
            consul.set(entry("a"), entry("new"))
            eventually(lambda: len(web.instances) == 2)
            raise ConnectionError
        return instance.id

    assert web.call(function, retry_on=(OSError,)) == "new"


def test_when_the_list_became_empty_the_last_error_is_raised(consul: FakeConsul, web: Watch) -> None:
    def function(_unused: Instance) -> None:
        consul.set()
        eventually(lambda: not web.instances)
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError, match="refused"):
        web.call(function, retry_on=(OSError,))
    with pytest.raises(NoInstances):
        web.call(str)


def test_at_most_half_of_the_instances_are_left_out(web: Watch) -> None:
    service = Service("a", "b", "c")
    for _unused in range(6):
        web.call(service, attempts=4, retry_on=(OSError,))
    assert len({web.pick().id for _unused in range(8)}) == 2, "picking leaves them out as well"
    service.failing.add("d")
    with pytest.raises(ConnectionError):
        web.call(service, attempts=4, retry_on=(OSError,))
    assert len({web.pick().id for _unused in range(8)}) == 2


def test_the_only_instance_is_never_left_out(consul: FakeConsul, web: Watch) -> None:
    consul.set(entry("a"))
    eventually(lambda: len(web.instances) == 1)
    for _unused in range(3):
        with pytest.raises(ConnectionError):
            web.call(Service("a"), retry_on=(OSError,))
    assert web.pick().id == "a"


def instances(*names: str, address: str = "10.0.0.1") -> t.Tuple[Instance, ...]:
    return tuple(Instance(name, "web", "node1", address, 80) for name in names)


def names(found: t.Iterable[Instance]) -> str:
    return "".join(one.id for one in found)


def test_who_fails_again_rests_longer_and_who_succeeds_is_forgiven() -> None:
    now = [0.0]
    outliers, all_four = Outliers(clock=lambda: now[0]), instances(*"abcd")
    rests = []
    for _unused in range(9):
        outliers.failed(all_four[0])
        began = now[0]
        while "a" not in names(outliers.spare(all_four)):
            now[0] += 0.5
        rests.append(now[0] - began)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    outliers.succeeded(all_four[0])
    outliers.failed(all_four[0])
    now[0] += 1
    assert names(outliers.spare(all_four)) == "abcd"


def test_who_behaved_for_long_begins_anew() -> None:
    now = [0.0]
    outliers, pair = Outliers(clock=lambda: now[0]), instances("a", "b")
    for _unused in range(3):
        outliers.failed(pair[0])
    now[0] += 4 + 61
    outliers.failed(pair[1])
    outliers.failed(pair[0])
    now[0] += 1
    assert names(outliers.spare(pair)) == "ab"


def test_those_that_rest_longest_are_left_out_first() -> None:
    outliers, three = Outliers(), instances(*"abc")
    outliers.failed(three[0])
    for _unused in range(3):
        outliers.failed(three[1])
    assert names(outliers.spare(three)) == "ac"


def test_a_container_that_was_replaced_did_not_fail() -> None:
    outliers = Outliers()
    outliers.failed(instances("a")[0])
    replaced = instances("a", "b", address="10.0.0.9")
    assert outliers.spare(replaced) is replaced


def test_the_fewest_calls_under_way_come_first(web: Watch) -> None:
    inside, leave = threading.Semaphore(0), threading.Event()
    begun: t.List[str] = []

    def slow(instance: Instance) -> None:
        begun.append(instance.id)
        inside.release()
        leave.wait(10)

    threads = [threading.Thread(target=web.call, args=(slow,), kwargs={"strategy": least_outstanding}) for _unused in range(3)]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=10)
    (idle,) = set("abcd") - set(begun)
    assert len(set(begun)) == 3
    assert web.call(lambda one: one.id, strategy=least_outstanding) == idle
    assert web.call(lambda one: one.id, strategy=by_meta("zone", "x", least_outstanding)) == "a"
    leave.set()
    for thread in threads:
        thread.join(10)
    assert {web.call(lambda one: one.id, strategy=least_outstanding) for _unused in range(8)} == set("abcd")
