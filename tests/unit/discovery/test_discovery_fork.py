# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a fork, the child has threads and connections of its own, at first use."""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
import typing as t

from consul_discovery import Client
from fake_consul import FakeConsul, entry, eventually

Connect = t.Callable[..., Client]


def in_a_child(work: t.Callable[[], t.Any]) -> t.Any:
    """Fork, do something in the child, and return what it found."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            found = work()
        except BaseException:
            found = traceback.format_exc()
        os.write(writes, json.dumps(found).encode())
        os._exit(0)
    os.close(writes)
    with open(reads, "rb") as pipe:
        found = json.loads(pipe.read())
    os.waitpid(child, 0)
    return found


def own_threads() -> t.List[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("consul-discovery"))


def test_the_child_follows_by_itself_and_the_parent_goes_on(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    client = connect()
    web = client.watch("web")
    web.wait(5)
    eventually(lambda: len(consul.health_requests()) == 2)
    connections = len(consul.connections)

    def child() -> t.Any:
        before = own_threads()
        first = web.pick().id
        return before, first, eventually(own_threads), eventually(lambda: len(web.instances) == 2), web.call(lambda one: one.port)

    threading.Timer(0.2, lambda: consul.set(entry("a"), entry("b"))).start()
    assert in_a_child(child) == [[], "a", ["consul-discovery-web"], True, 80]
    eventually(lambda: len(web.instances) == 2)
    assert web.problem == ""
    assert len(consul.connections) == connections + 1, "the parent's is still the one it had"


def test_a_child_that_uses_nothing_starts_nothing(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    web = connect().watch("web")
    web.wait(5)
    eventually(lambda: len(consul.health_requests()) == 2)
    assert in_a_child(own_threads) == []
    assert len(consul.health_requests()) == 2


def test_subscribers_are_told_on_in_the_child(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    web = connect().watch("web")
    told: t.List[str] = []
    web.subscribe(lambda change: told.append(f"{change.kind} {change.instance.id}"))
    eventually(lambda: told == ["added a"])

    def child() -> t.Any:
        web.pick()
        eventually(lambda: len(told) == 3)
        return told

    threading.Timer(0.2, lambda: consul.set(entry("b"))).start()
    assert in_a_child(child) == ["added a", "added b", "removed a"]


def test_a_fork_while_locks_are_held(consul: FakeConsul, connect: Connect, tmp_path: t.Any) -> None:
    """Threads that are busy in the parent at that moment leave nothing locked in the child."""
    consul.set(entry("a"), entry("b"))
    client = connect(cache_file=str(tmp_path / "cache.json"))
    web = client.watch("web")
    web.wait(5)
    ended = threading.Event()

    def busy() -> None:
        while not ended.is_set():
            web.call(lambda one: one.id)
            web.subscribe(lambda _unused: None)()

    threads = [threading.Thread(target=busy, daemon=True) for _unused in range(4)]
    for thread in threads:
        thread.start()

    def child() -> t.Any:
        web.call(lambda one: one.id)
        web.subscribe(lambda _unused: None)()
        began = time.monotonic()
        client.close()
        return time.monotonic() - began < 1

    try:
        assert [in_a_child(child) for _unused in range(10)] == [True] * 10
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)


def test_a_client_that_was_closed_stays_closed(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    client = connect()
    web = client.watch("web")
    web.wait(5)
    client.close()
    assert "was closed" in in_a_child(lambda: web.pick().id)
