# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue never loses a key or its news, and never hands a key out twice at a time."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest
from registrator import workqueue
from registrator.news import CHANGED, DIED, LOOK, STARTED, is_death, merged
from registrator.workqueue import Work, WorkQueue


def taken(queue: WorkQueue) -> Work:
    work = queue.get()
    assert work
    return work


def news_of(work: Work) -> t.Tuple[str, t.Set[str]]:
    return work.key, set(work.news)


def test_a_key_waits_once_with_all_its_news() -> None:
    queue = WorkQueue()
    queue.add("a", CHANGED)
    queue.add("b", LOOK)
    queue.add("a", "kill:15")
    assert len(queue) == 2
    assert news_of(taken(queue)) == ("a", {CHANGED, "kill:15"})
    assert news_of(taken(queue)) == ("b", {LOOK})


@pytest.mark.parametrize(
    "heard, left, death",
    [
        ([DIED], {DIED}, True),
        (["kill:15", DIED], {DIED}, True),
        (["kill:15", DIED, STARTED], {STARTED}, False),
        ([STARTED, DIED], {DIED}, True),
        ([DIED, LOOK], {DIED, LOOK}, False),
        ([DIED, CHANGED], {DIED, CHANGED}, True),
        ([LOOK, DIED], {DIED}, True),
    ],
)
def test_what_is_left_to_be_known(heard: t.List[str], left: t.Set[str], death: bool) -> None:
    news = frozenset[str]()
    for one in heard:
        news = merged(news, frozenset({one}))
    assert (set(news), is_death(news)) == (left, death)


def test_what_is_urgent_goes_first() -> None:
    queue = WorkQueue()
    for key in "abc":
        queue.add(key, LOOK)
    queue.add("d", STARTED, urgent=True)
    for _time in range(3):
        queue.add("c", CHANGED, urgent=True)
    assert [taken(queue).key for _time in range(4)] == ["d", "c", "a", "b"]


def test_what_failed_does_not_keep_the_queue_busy() -> None:
    queue = WorkQueue()
    queue.add("a", LOOK)
    assert queue.is_busy()
    work = taken(queue)
    assert queue.is_busy()
    queue.failed(work)
    assert not queue.is_busy()
    assert len(queue) == 1


def test_a_key_that_is_worked_on_comes_back_afterwards() -> None:
    queue = WorkQueue()
    queue.add("a", LOOK)
    first = taken(queue)
    queue.add("a", DIED)
    queue.add("b", LOOK)
    second = taken(queue)
    assert news_of(second) == ("b", {LOOK})
    queue.done(first)
    assert news_of(taken(queue)) == ("a", {DIED})
    queue.done(second)
    assert len(queue) == 1


def test_a_failure_comes_back_by_itself_with_its_news_and_later_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(workqueue.random, "uniform", lambda least, most: most)
    queue = WorkQueue()
    queue.add("a", DIED)
    work = taken(queue)
    for wanted in (0.02, 0.04, 0.08):
        began = time.monotonic()
        queue.failed(work)
        work = taken(queue)
        assert news_of(work) == ("a", {DIED})
        assert time.monotonic() - began >= wanted
    queue.done(work)
    assert len(queue) == 0


def test_looks_at_what_fails_do_not_multiply_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a list or a comparison asks for it, a key that fails is tried at its own growing pause."""
    now = [0.0]
    monkeypatch.setattr(workqueue.time, "monotonic", lambda: now[0])
    queue, attempts = WorkQueue(), 0
    for step in range(600):
        now[0] = step / 10
        if step % 20 == 0:
            queue.add("a", LOOK)
        with queue._changed:
            queue._release_delayed()
        while queue.is_busy():
            attempts += 1
            queue.failed(taken(queue))
        assert len(queue) == 1
    assert attempts < 15


def test_what_is_urgent_ends_the_pause_and_no_second_one_is_left() -> None:
    queue = WorkQueue()
    queue.add("a", LOOK)
    queue.failed(taken(queue))
    queue.add("a", STARTED, urgent=True)
    work = taken(queue)
    assert news_of(work) == ("a", {STARTED})
    queue.done(work)
    with queue._changed:
        queue._release_delayed()
    assert len(queue) == 0


def test_hurry_takes_up_what_waits() -> None:
    queue = WorkQueue()
    queue.add("a", LOOK)
    for _time in range(6):
        queue.failed(taken(queue))
        queue.hurry()
    assert news_of(taken(queue)) == ("a", {LOOK})


def test_closing_frees_who_waits() -> None:
    queue = WorkQueue()
    got: t.List[t.Optional[Work]] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    queue.close()
    thread.join(5)
    assert got == [None]


def test_work_on_one_key_never_overlaps() -> None:
    queue, at_work, overlaps, rounds = WorkQueue(), set(), [], []

    def work() -> None:
        while True:
            got = queue.get()
            if got is None:
                return
            if got.key in at_work:
                overlaps.append(got.key)
            at_work.add(got.key)
            time.sleep(0.0005)
            at_work.discard(got.key)
            rounds.append(got.key)
            queue.done(got)

    threads = [threading.Thread(target=work) for _time in range(4)]
    for thread in threads:
        thread.start()
    for number in range(300):
        queue.add("abc"[number % 3], LOOK, urgent=number % 2 == 0)
        time.sleep(0.0002)
    while len(queue):
        time.sleep(0.001)
    queue.close()
    for thread in threads:
        thread.join(5)
    assert overlaps == []
    assert set(rounds) == set("abc")
