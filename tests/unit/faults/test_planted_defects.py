# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trial from end to end, with a registry that does something wrong, once: the trial has to say so.

The writers and readers are the real ones, over HTTP. What they talk to is a small registry with consistent reads and compare-and-set.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from faults import workload
from faults.trial import Limits, Result, beyond, result_of
from faults.watcher import Answer, Repeated
from faults.workload import Agent, Workload

LONG_ENOUGH = 40  # writes
NONE = "no key"


class Registry:
    """Keys and values. ``drops`` says of which key one write is acknowledged and forgotten, ``stale`` of which one read shows what was long before."""

    def __init__(self, drops: str = NONE, stale: str = NONE, refuses: bool = False) -> None:
        self.drops, self.stale, self.refuses = drops, stale, refuses
        self.values: dict[str, list[tuple[str, int]]] = {}
        self.writes, self.planted = 0, 0
        self.lock = threading.Lock()

    def read(self, key: str) -> tuple[str, int] | None:
        with self.lock:
            values = self.values.get(key, [])
            if self.stale in key and len(values) > 8 and not self.planted:
                self.planted += 1
                return values[0]
            return values[-1] if values else None

    def write(self, key: str, value: str, index: int) -> bool:
        with self.lock:
            values = self.values.setdefault(key, [])
            if (values[-1][1] if values else 0) != index:
                return False
            self.writes += 1
            if self.drops in key and len(values) > 3 and not self.planted:
                self.planted += 1
            else:
                values.append((value, self.writes))
            return True


def handler(registry: Registry, refuses: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = None if refuses else registry.read(self.key())
            text = json.dumps([{"Value": base64.b64encode(found[0].encode()).decode(), "ModifyIndex": found[1]}] if found else [])
            self.say(500 if refuses else 200 if found else 404, text)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.say(200, json.dumps(registry.write(self.key(), body, int(self.path.rpartition("cas=")[2]))))

        def key(self) -> str:
            return self.path.partition("/v1/kv/")[2].partition("?")[0]

        def say(self, code: int, text: str) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[[Registry], tuple[Result, Workload]]]:
    """Have a trial of a registry; one of its two agents refuses to read when it is told to."""
    monkeypatch.setattr(workload, "PAUSE", 0.002)
    servers: list[ThreadingHTTPServer] = []

    def run(registry: Registry) -> tuple[Result, Workload]:
        for refuses in (registry.refuses, False):
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler(registry, refuses))
            servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        load = Workload([Agent(f"node{number}", "127.0.0.1", server.server_port, "") for number, server in enumerate(servers, 1)], "planted")
        begun = time.monotonic()
        with load:
            while registry.writes < LONG_ENOUGH or (registry.drops + registry.stale != NONE + NONE and not registry.planted):
                assert time.monotonic() < begun + 60, "too few writes"
                time.sleep(0.01)
        ended = time.monotonic()
        watcher, observer = Repeated(lambda: Answer(good=True)), Repeated(lambda: Answer(good=True))
        watcher.ask_once()
        return result_of("planted", (begun, ended), load.history, watcher, observer, []), load

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_registry_that_does_all_right_passes(tried: t.Any) -> None:
    result, _load = tried(Registry())
    assert (result.wrong, result.lost, result.failed) == ([], 0, 0)


@pytest.mark.parametrize("key", ["counter", "list"])
def test_one_acknowledged_write_that_is_dropped_is_found(tried: t.Any, key: str) -> None:
    result, _load = tried(Registry(drops=key))
    assert any(f"{key}" in words and "was acknowledged" in words for words in result.wrong), result.wrong
    assert result.lost


@pytest.mark.parametrize("key", ["counter", "list"])
def test_one_read_that_is_stale_is_found(tried: t.Any, key: str) -> None:
    result, _load = tried(Registry(stale=key))
    assert any(key in words and "showed" in words and "steps at" in words for words in result.wrong), result.wrong


def test_each_attempt_of_a_read_is_logged_by_itself(tried: t.Any) -> None:
    result, load = tried(Registry(refuses=True))
    reads = [one for one in load.history.operations if not one.writes]
    first = [one for one in reads if one.is_repeated]
    assert first
    assert {one.agents for one in first} == {("node1",)}
    assert all(len(one.agents) == 1 for one in reads)
    assert result.wrong == []
    assert result.failed >= len(first) - 5  # each thread may have been stopped between its two attempts
    assert result.operations == len(load.history.operations) - len(first)


SEEN: dict[str, t.Any] = {"name": "x", "lasted": 1, "operations": 1, "failed": 0, "failed_again": 0, "lost": 0, "after_consul": None, "wrong": []}


@pytest.mark.parametrize(
    ("without_writes", "degraded", "healthy", "words"),
    [
        (4.0, 3.0, 20.0, []),
        (6.0, 3.0, 20.0, ["6.0 s without writes, not 5"]),
        (4.0, None, 20.0, ["not called healthy any more never, not within 4 s"]),
        (4.0, 4.5, 20.0, ["not called healthy any more only after 4.5 s, not within 4 s"]),
        (4.0, 3.0, 31.0, ["healthy 31.0 s after its end, not 30"]),
    ],
)
def test_what_lasts_too_long_is_wrong(without_writes: float, degraded: float | None, healthy: float, words: list[str]) -> None:
    result = Result(**SEEN, without_writes=without_writes, degraded=degraded, healthy=healthy)
    assert beyond(result, Limits(5, 4, 30)) == words
    assert beyond(result, Limits(100, None, 100)) == []
