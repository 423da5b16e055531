# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the library against a real Consul. Needed: ``TEST_CONSUL``, the path of a consul binary. Without it these tests are skipped."""

from __future__ import annotations

import os
import pathlib
import sys
import typing as t

import pytest

for folder in ("python/consul_discovery/src", "tests/integration/registrator", "tests/unit/discovery"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / folder))

from consul_discovery import Client  # noqa: E402 - from the folders above
from servers import Server  # noqa: E402

CONSUL = os.environ.get("TEST_CONSUL", "")


def pytest_collection_modifyitems(items: t.List[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents and not CONSUL:
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


@pytest.fixture
def connect() -> t.Iterator[t.Callable[..., Client]]:
    made: t.List[Client] = []

    def connect(url: str, **options: t.Any) -> Client:
        made.append(Client(url, **options))
        return made[-1]

    yield connect
    for client in made:
        client.close()
