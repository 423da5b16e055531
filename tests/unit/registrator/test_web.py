# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""/health and /metrics."""

from __future__ import annotations

import json
import typing as t
import urllib.error
import urllib.request

import pytest
from registrator.metrics import Metrics
from registrator.web import serve


class State:
    healthy = True

    def __init__(self) -> None:
        self.metrics = Metrics()

    def health(self) -> t.Mapping[str, t.Any]:
        return {"healthy": self.healthy}

    def metrics_text(self) -> str:
        return self.metrics.text({"services": 3})


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def address(state: State) -> t.Iterator[str]:
    server = serve("127.0.0.1:0", state)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def get(url: str) -> t.Tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("healthy, code", [(True, 200), (False, 503)])
def test_health(state: State, address: str, healthy: bool, code: int) -> None:
    state.healthy = healthy
    found, body = get(f"{address}/health")
    assert (found, json.loads(body)) == (code, {"healthy": healthy})


def test_metrics(state: State, address: str) -> None:
    state.metrics.add("events_total")
    state.metrics.add("events_total")
    code, body = get(f"{address}/metrics")
    assert code == 200
    assert "# TYPE registrator_events_total counter\nregistrator_events_total 2\n" in body
    assert "\nregistrator_services 3\n" in body
    assert get(f"{address}/other")[0] == 404
