# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue never loses a key, and never hands one out twice at a time."""

from __future__ import annotations

import threading
import time

import pytest
from registrator import workqueue
from registrator.workqueue import Work, WorkQueue


def news_of(work: Work) -> tuple:
    return work.key, work.news


def test_a_key_waits_once_with_its_latest_news() -> None:
    queue = WorkQueue()
    queue.add("a", "start")
    queue.add("b")
    queue.add("a", "die")
    assert len(queue) == 2
    assert news_of(queue.get()) == ("a", "die")
    assert news_of(queue.get()) == ("b", "")


def test_news_that_may_not_replace_others() -> None:
    queue = WorkQueue()
    queue.add("a", "die")
    queue.add("a", "disconnect", replace=False)
    queue.add("b", "disconnect", replace=False)
    assert news_of(queue.get()) == ("a", "die")
    assert news_of(queue.get()) == ("b", "disconnect")


def test_what_failed_does_not_keep_the_queue_busy() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert queue.is_busy()
    assert queue.get()
    assert queue.is_busy()
    queue.failed("a")
    assert not queue.is_busy()
    assert len(queue) == 1


def test_a_key_that_is_worked_on_comes_back_afterwards() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert queue.get()
    queue.add("a", "die")
    queue.add("b")
    assert news_of(queue.get()) == ("b", "")
    queue.done("a")
    assert news_of(queue.get()) == ("a", "die")


def test_a_failure_comes_back_by_itself_and_later_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(workqueue.random, "uniform", lambda least, most: most)
    queue = WorkQueue()
    queue.add("a", "die")
    assert queue.get()
    for wanted in (0.02, 0.04, 0.08):
        began = time.monotonic()
        queue.failed("a")
        assert news_of(queue.get()) == ("a", "")
        assert time.monotonic() - began >= wanted
    queue.done("a")
    queue.add("a")
    assert queue.get()
    began = time.monotonic()
    queue.failed("a")
    assert len(queue) == 1
    assert queue.get()
    assert time.monotonic() - began >= 0.02


def test_hurry_takes_up_what_waits() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert queue.get()
    for _time in range(6):
        queue.failed("a")
    queue.hurry()
    assert news_of(queue.get()) == ("a", "")


def test_closing_frees_who_waits() -> None:
    queue = WorkQueue()
    got = []
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
            queue.done(got.key)

    threads = [threading.Thread(target=work) for _time in range(4)]
    for thread in threads:
        thread.start()
    for number in range(300):
        queue.add("abc"[number % 3])
        time.sleep(0.0002)
    while len(queue):
        time.sleep(0.001)
    queue.close()
    for thread in threads:
        thread.join(5)
    assert overlaps == []
    assert set(rounds) == set("abc")
