# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One play holds a lock, whoever else wants it at the same moment, and a dead one does not hold it for ever."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import pathlib
import threading
import time
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import lock

OURS: lock.Holder = {"user": "alice", "controller": "one", "pid": 11, "started": "100", "kernel": "a"}
THEIRS: lock.Holder = {"user": "bob", "controller": "two", "pid": 22, "started": "200", "kernel": "b"}
STALE = 900.0


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "run" / "lock")


def held(path: str) -> t.Any:
    return json.loads(pathlib.Path(path).read_text())


def grow_old(path: str, seconds: float) -> None:
    data = held(path)
    pathlib.Path(path).write_text(json.dumps({**data, "since": data["since"] - seconds, "refreshed": data["refreshed"] - seconds}))


def test_it_keeps_others_out_and_says_who_holds_it(path: str) -> None:
    assert lock.take(path, OURS, STALE) is None
    assert os.stat(path).st_mode & 0o777 == 0o644
    with pytest.raises(lock.HeldError) as refused:
        lock.take(path, THEIRS, STALE)
    assert refused.value.holder == OURS
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(held(path)["since"]))
    assert str(refused.value) == (
        f"Another play works on this host: alice@one:11, since {since}, last seen 0 s ago ({path}). Wait until it has ended. "
        "If you know that it is dead, break its lock with break_holder: alice@one:11; by itself it is taken over 900 s after it was last seen."
    )
    assert held(path)["holder"] == OURS


def test_taking_it_again_refreshes_it(path: str) -> None:
    lock.take(path, OURS, STALE)
    grow_old(path, 2 * STALE)
    since = held(path)["since"]
    assert lock.take(path, OURS, STALE) is None
    assert held(path)["since"] == since
    assert time.time() - held(path)["refreshed"] < STALE


def test_only_its_holder_releases_it(path: str) -> None:
    lock.release(path, OURS)
    lock.take(path, OURS, STALE)
    lock.release(path, THEIRS)
    assert held(path)["holder"] == OURS
    lock.release(path, OURS)
    assert not os.path.exists(path)
    assert lock.take(path, THEIRS, STALE) is None


def test_what_is_stale_is_taken_over(path: str) -> None:
    lock.take(path, OURS, STALE)
    grow_old(path, STALE - 60)
    with pytest.raises(lock.HeldError, match=r"last seen 84[01] s ago"):
        lock.take(path, THEIRS, STALE)
    grow_old(path, 60)
    former = lock.take(path, THEIRS, STALE)
    assert former is not None
    assert former.holder == OURS
    assert str(former).endswith(("last seen 900 s ago", "last seen 901 s ago"))
    assert held(path)["holder"] == THEIRS
    with pytest.raises(lock.HeldError, match="bob@two:22"):
        lock.take(path, OURS, STALE)


def test_that_of_a_dead_play_is_free_but_not_that_of_its_successor(path: str) -> None:
    lock.take(path, OURS, STALE)
    former = lock.take(path, THEIRS, STALE, dead=OURS)
    assert former is not None
    assert former.holder == OURS
    with pytest.raises(lock.HeldError, match="bob@two"):
        lock.take(path, {**OURS, "pid": 12}, STALE, dead=OURS)


@pytest.mark.parametrize("text", ["{", "[]", "null", "7", '{"holder": 3}', '{"holder": {}, "since": "x"}', "\udcff"])
def test_a_file_that_cannot_be_understood_counts_by_its_age(path: str, text: str) -> None:
    os.mkdir(os.path.dirname(path))
    pathlib.Path(path).write_bytes(text.encode(errors="surrogateescape"))
    lock.release(path, OURS)
    with pytest.raises(lock.HeldError, match=r"unnamed, since .* last seen 0 s ago") as refused:
        lock.take(path, OURS, STALE)
    assert refused.value.holder == {}
    os.utime(path, (time.time() - STALE, time.time() - STALE))
    former = lock.take(path, OURS, STALE)
    assert former is not None
    assert former.holder == {}
    assert held(path)["holder"] == OURS


def test_an_empty_file_is_a_free_lock(path: str) -> None:
    os.mkdir(os.path.dirname(path))
    pathlib.Path(path).touch()
    assert lock.take(path, OURS, STALE) is None


def test_a_clock_that_was_put_back_does_not_free_it(path: str) -> None:
    lock.take(path, OURS, STALE)
    grow_old(path, -3600)
    with pytest.raises(lock.HeldError, match="last seen 0 s ago"):
        lock.take(path, THEIRS, STALE)


def test_a_place_that_cannot_be_written_is_a_sentence() -> None:
    with pytest.raises(lock.LockError, match=r"/proc/discovery/lock cannot be written .* Run with become: true"):
        lock.take("/proc/discovery/lock", OURS, STALE)


def test_who_waited_for_a_file_that_was_removed_looks_again(path: str) -> None:
    lock.take(path, OURS, STALE)
    refused: list[lock.HeldError] = []

    def wait() -> None:
        try:
            lock.take(path, {**OURS, "pid": 12}, STALE)
        except lock.HeldError as exc:
            refused.append(exc)

    waiting = threading.Thread(target=wait)
    with open(path, encoding="utf-8") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        waiting.start()
        while f":{os.stat(path).st_ino} " not in "".join(line for line in pathlib.Path("/proc/locks").read_text().splitlines() if "->" in line):
            time.sleep(0.01)
        os.remove(path)
        lock.take(path, THEIRS, STALE)
    waiting.join()
    assert [one.holder for one in refused] == [THEIRS]


def race(path: str, racer: int, rounds: int, start: t.Any, won: t.Any) -> None:
    """Take, look whether one is alone, and release, as often as it goes."""
    holder = {**OURS, "pid": racer}
    start.wait()
    for _round in range(rounds):
        try:
            lock.take(path, holder, STALE)
        except lock.HeldError:
            continue
        with open(f"{path}.inside", "x", encoding="utf-8"):
            pass
        os.remove(f"{path}.inside")
        lock.release(path, holder)
        won.put(racer)


def test_of_many_processes_only_one_is_inside(path: str) -> None:
    context = multiprocessing.get_context("fork")
    start, won = context.Barrier(6), context.SimpleQueue()
    racers = [context.Process(target=race, args=(path, racer, 200, start, won)) for racer in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * 6
    assert not won.empty()


def once(path: str, racer: int, start: t.Any, won: t.Any) -> None:
    start.wait()
    try:
        lock.take(path, {**OURS, "pid": racer}, STALE, dead=THEIRS)
    except lock.HeldError:
        return
    won.put(racer)


@pytest.mark.parametrize("before", ["none", "stale", "dead"])
def test_of_many_takers_one_wins(path: str, before: str) -> None:
    context = multiprocessing.get_context("fork")
    for _round in range(10):
        if before != "none":
            lock.take(path, THEIRS, STALE)
        if before == "stale":
            grow_old(path, STALE)
        start, won = context.Barrier(6), context.SimpleQueue()
        racers = [context.Process(target=once, args=(path, racer, start, won)) for racer in range(6)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        winner = won.get()
        assert won.empty()
        assert held(path)["holder"]["pid"] == winner
        os.remove(path)


def options(path: str, **given: t.Any) -> lock.Json:
    return {"state": "present", "path": path, "stale_after": 900, "holder": OURS, "dead": None, "break_holder": None, **given}


def test_an_outcome_is_never_a_change(path: str) -> None:
    assert lock.outcome(options(path), False) == {"changed": False}
    assert lock.outcome(options(path, holder=THEIRS), False)["held_by"] == OURS
    taken = lock.outcome(options(path, holder=THEIRS, dead=OURS), False)
    assert (taken["changed"], taken["taken_from"]) == (False, OURS)
    assert "alice@one:11" in taken["warnings"][0]
    assert lock.outcome(options(path, holder=THEIRS, state="absent"), False) == {"changed": False}
    assert not os.path.exists(path)


def test_check_mode_takes_nothing_and_refuses_nobody(path: str) -> None:
    assert lock.outcome(options(path), True) == {"changed": False}
    assert not os.path.exists(os.path.dirname(path))
    lock.take(path, OURS, STALE)
    for state in ("present", "absent"):
        assert lock.outcome(options(path, holder=THEIRS, state=state), True) == {"changed": False}
    assert held(path)["holder"] == OURS


def test_without_a_holder_it_says_how_to_call_it(path: str) -> None:
    assert "discovery.consul.play_lock" in lock.outcome(options(path, holder=None), False)["msg"]


@pytest.mark.parametrize(("named", "broken"), [("alice@one:11", True), ("alice@one:12", False), ("", False)])
def test_only_the_lock_of_who_is_named_is_broken(path: str, named: str, broken: bool) -> None:
    lock.take(path, OURS, STALE)
    result = lock.outcome(options(path, holder=THEIRS, break_holder=named), check_mode=False)
    assert bool(result.get("failed")) != broken
    assert held(path)["holder"] == (THEIRS if broken else OURS)
    assert not broken or "The lock of another play was taken over: alice@one:11" in result["warnings"][0]
