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
        self.metrics.gauge("registrator_services", "Services that are registered.", lambda: 3)

    def health(self) -> t.Mapping[str, t.Any]:
        return {"healthy": self.healthy}

    def metrics_text(self) -> bytes:
        return self.metrics.text()


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
    state.metrics.events.inc()
    state.metrics.events.inc()
    state.metrics.latency.observe(0.003)
    code, body = get(f"{address}/metrics")
    assert code == 200
    assert "# TYPE registrator_events_total counter\nregistrator_events_total 2.0\n" in body
    assert "\nregistrator_services 3.0\n" in body
    assert '\nregistrator_latency_seconds_bucket{le="0.005"} 1.0\n' in body
    assert get(f"{address}/other")[0] == 404


def test_it_listens_on_all_addresses_of_both_families() -> None:
    server = serve("[::]:0", State())
    for host in ("[::1]", "127.0.0.1"):
        assert get(f"http://{host}:{server.server_address[1]}/health")[0] == 200
    server.shutdown()
    server.server_close()
