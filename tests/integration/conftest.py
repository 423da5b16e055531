# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs a real Consul. ``TEST_CONSUL`` is the path of a consul binary. Without it these tests are skipped."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE / "registrator"), str(HERE / "discovery")]

from servers import CONSUL, Server  # noqa: E402 - from the folders above


def pytest_collection_modifyitems(items: t.List[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and not CONSUL:
            item.add_marker(pytest.mark.skip(reason="TEST_CONSUL is not set"))


@pytest.fixture
def server(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., Server]]:
    """Start servers that keep their state when they are killed."""
    started: t.List[Server] = []

    def start(name: str = "node1", **config: t.Any) -> Server:
        started.append(Server(CONSUL, tmp_path, name, config))
        return started[-1]

    yield start
    for one in started:
        one.kill()
