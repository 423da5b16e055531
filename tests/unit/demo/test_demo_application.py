# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the application of the demonstration counts, and its page."""

from __future__ import annotations

import json
import re
import typing as t
import urllib.error
import urllib.request

import pytest
from consul_discovery import Change, Instance, NoInstances
from demo import application, page

ONE, OTHER = (Instance(id=name, service="web", node="n", address="127.0.0.1", port=1, tags=("v1",)) for name in ("web-1", "web-2"))


class Watch:
    """What the library gives: here `failing` of the first instances fail."""

    service, tags = "web", frozenset(["v1"])
    instances = registered = (ONE, OTHER)
    age, problem = 0.5, ""

    def __init__(self, failing: int = 0, empty: bool = False) -> None:
        self.failing, self.empty = failing, empty

    def call(self, function: t.Callable[[Instance], None], attempts: int, retry_on: t.Any) -> None:
        if self.empty:
            raise NoInstances("web", 2, 0, 1.0)
        for number, instance in enumerate([ONE, OTHER, ONE][:attempts]):
            try:
                function(instance)
                return
            except retry_on:
                if number == attempts - 1:
                    raise


@pytest.mark.parametrize(
    ("failing", "empty", "counted"),
    [(0, False, (1, 0, 0)), (1, False, (1, 1, 0)), (3, False, (1, 2, 1)), (0, True, (1, 0, 1))],
    ids=["at once", "the second time", "not at all", "nobody to call"],
)
def test_a_call_counts_after_its_retries(monkeypatch: pytest.MonkeyPatch, failing: int, empty: bool, counted: tuple[int, int, int]) -> None:
    left = [failing]

    def greet(_instance: Instance) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise ConnectionRefusedError("refused")

    monkeypatch.setitem(application.CALLS, "web", greet)
    caller = application.Caller(t.cast(t.Any, Watch(failing, empty)))
    caller.once()
    state = caller.state()
    assert (state["called"], state["tried_again"], state["failed"]) == counted
    assert bool(state["last_failure"]) == bool(counted[2])
    assert sum(one["calls"] for one in state["registered"]) == 1 - counted[2]


def test_what_was_told_is_kept_newest_first() -> None:
    told = application.Application.__new__(application.Application)
    told.changes = application.collections.deque(maxlen=2)
    for instance in (ONE, OTHER, ONE):
        told.told("web v1", Change("added", instance))
    assert [one["instance"] for one in told.changes] == ["web-1", "web-2"]


@pytest.fixture
def address() -> t.Iterator[str]:
    with page.serve(0, lambda: {"lists": {"<script>": {}}, "changes": []}) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


def test_the_page_the_state_and_the_stream(address: str) -> None:
    with urllib.request.urlopen(f"{address}/", timeout=5) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        text = answer.read().decode()
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write", text)
    with urllib.request.urlopen(f"{address}/state", timeout=5) as answer:
        assert json.load(answer)["lists"] == {"<script>": {}}
    with urllib.request.urlopen(f"{address}/changes", timeout=5) as answer:
        lines = [answer.readline() for _time in range(3)]
    assert [json.loads(line.removeprefix(b"data: "))["changes"] for line in lines if line.startswith(b"data: ")] == [[], []]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}/other", timeout=5)


def test_there_are_only_so_many_streams(address: str) -> None:
    streams = [urllib.request.urlopen(f"{address}/changes", timeout=5) for _number in range(page.MOST_STREAMS)]
    try:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/changes", timeout=5)
    finally:
        for stream in streams:
            stream.close()
