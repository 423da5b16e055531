# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever subscribed is told: in order, from one thread, and what is true."""

from __future__ import annotations

import logging
import threading
import time
import typing as t

import pytest
from consul_discovery import Change, Client, Instance
from consul_discovery.changes import between
from fake_consul import FakeConsul, entry, eventually
from hypothesis import given
from hypothesis import strategies as st

Connect = t.Callable[..., Client]


class Follower:
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.told: t.List[str] = []
        self.instances: t.Dict[t.Any, Instance] = {}
        self.threads: t.Set[threading.Thread] = set()

    def __call__(self, change: Change) -> None:
        self.told.append(f"{change.kind} {change.instance.id}")
        self.threads.add(threading.current_thread())
        apply(self.instances, change)


def apply(instances: t.Dict[t.Any, Instance], change: Change) -> None:
    assert (change.kind == "added") == (change.instance.key not in instances), "added is what was not there"
    if change.kind == "removed":
        del instances[change.instance.key]
    else:
        assert change.previous == instances.get(change.instance.key)
        instances[change.instance.key] = change.instance


def test_first_the_present_list_then_changes(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"), entry("b"))
    web = connect().watch("web")
    web.wait(5)
    follower = Follower()
    web.subscribe(follower)
    eventually(lambda: len(follower.told) == 2)
    consul.set(entry("b", port=81), entry("c"))
    eventually(lambda: len(follower.told) == 5)
    assert follower.told == ["added a", "added b", "added c", "changed b", "removed a"]
    consul.set(entry("b", port=81, status="critical"), entry("c"))
    eventually(lambda: len(follower.told) == 6)
    assert follower.told[-1] == "removed b"


def test_nothing_is_told_before_there_is_a_list(consul: FakeConsul, connect: Connect) -> None:
    consul.stop()
    web = connect().watch("web")
    follower = Follower()
    web.subscribe(follower)
    eventually(lambda: web.problem)
    assert follower.told == []
    consul.entries = [entry("a")]
    consul.start_again()
    eventually(lambda: follower.told == ["added a"])


def test_subscribers_are_told_by_one_thread(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    client = connect()
    followers = [Follower() for _unused in range(4)]
    for name, follower in zip(("x", "x", "y", "z"), followers):
        client.watch(name).subscribe(follower)
    eventually(lambda: all(follower.told == ["added a"] for follower in followers))
    assert len(set.union(*(follower.threads for follower in followers))) == 1


def test_a_slow_subscriber_is_told_less_and_the_truth(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    web = connect().watch("web")
    slow, inside, go_on = Follower(), threading.Event(), threading.Event()

    def tell(change: Change) -> None:
        slow(change)
        inside.set()
        go_on.wait(10)

    web.subscribe(tell)
    assert inside.wait(10)
    for port in (1, 2, 3):
        consul.set(entry("a", port=port), entry(f"passing-by-{port}"))
        eventually(lambda port=port: web.instances[0].port == port)
    consul.set(entry("a", port=4))
    eventually(lambda: web.instances[0].port == 4 and len(web.instances) == 1)
    go_on.set()
    eventually(lambda: slow.instances == {one.key: one for one in web.instances})
    assert slow.told == ["added a", "changed a"]


def test_an_exception_is_logged_and_the_others_are_told(consul: FakeConsul, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    consul.set(entry("a"))
    web = connect().watch("web")

    def leave(_unused: Change) -> None:
        raise SystemExit(1)

    follower = Follower()
    web.subscribe(lambda change: 1 / 0)
    web.subscribe(leave)
    web.subscribe(follower)
    eventually(lambda: follower.told == ["added a"])
    consul.set(entry("b"))
    eventually(lambda: follower.told == ["added a", "added b", "removed a"])
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 6 and "A subscriber failed, told of: added web a" in errors[0].message


def test_after_stop_nothing_is_told(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    web = connect().watch("web")
    stopped, other = Follower(), Follower()
    stop = web.subscribe(stopped)
    web.subscribe(other)
    eventually(lambda: other.told)
    stop()
    stop()
    consul.set(entry("b"))
    eventually(lambda: len(other.told) == 3)
    assert stopped.told == ["added a"]


@pytest.mark.parametrize("what", ["stop", "close", "watch.close"])
@pytest.mark.parametrize("where", ["callback", "thread"])
def test_ending_takes_less_than_a_second_even_within_a_callback(consul: FakeConsul, connect: Connect, what: str, where: str) -> None:
    consul.set(entry("a"), entry("b"))
    client = connect()
    web = client.watch("web")
    took: t.List[float] = []
    inside, leave = threading.Event(), threading.Event()
    told: t.List[Change] = []

    def end() -> None:
        began = time.monotonic()
        {"stop": stop, "close": client.close, "watch.close": web.close}[what]()
        took.append(time.monotonic() - began)

    def tell(change: Change) -> None:
        told.append(change)
        inside.set()
        if where == "callback":
            ready.wait(10)
            end()
        else:
            leave.wait(10)  # a callback that hangs holds nobody up

    ready = threading.Event()
    stop = web.subscribe(tell)
    ready.set()
    assert inside.wait(10)
    if where == "thread":
        end()
    eventually(lambda: took)
    assert took[0] < 1
    leave.set()
    if what == "stop":
        assert len(told) == 1


def test_a_subscriber_may_ask_the_watch(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    client = connect()
    web = client.watch("web")
    picked: t.List[str] = []

    def tell(_unused: Change) -> None:
        picked.append(web.pick().id)
        client.watch("other").subscribe(lambda change: picked.append(change.instance.id))

    web.subscribe(tell)
    eventually(lambda: len(picked) == 2)


one = st.builds(lambda id, port, tag: Instance(id, "web", "n", "10.0.0.1", port, (tag,)), st.sampled_from("abcdef"), st.integers(1, 3), st.sampled_from("xy"))
lists = st.lists(one, unique_by=lambda found: found.id).map(tuple)


@given(lists, lists)
def test_changes_add_up(before: t.Tuple[Instance, ...], after: t.Tuple[Instance, ...]) -> None:
    instances = {found.key: found for found in before}
    shared = {found.id for found in before} & {found.id for found in after}
    for change in list(between(instances, after)):
        apply(instances, change)
        assert shared <= {found.id for found in instances.values()}, "nobody is without what both lists have"
    assert instances == {found.key: found for found in after}


def test_changes_as_text_and_json() -> None:
    found = Instance("a\n", "web", "n", "10.0.0.1", 80, ("v2",), {"k": "v"})
    change = Change("changed", found, found)
    assert str(change) == r"changed web a\n 10.0.0.1:80 [v2] passing"
    assert change.as_dict()["previous"]["meta"] == {"k": "v"} and change.as_dict()["change"] == "changed"
