# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the library importable from its sources, and give tests an agent that does as it is told."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "python/consul_discovery/src"))

from consul_discovery import Client
from fake_consul import FakeConsul


@pytest.fixture
def consul() -> t.Iterator[FakeConsul]:
    consul = FakeConsul()
    yield consul
    consul.stop()


@pytest.fixture
def connect(consul: FakeConsul) -> t.Iterator[t.Callable[..., Client]]:
    """Make clients of the agent, and close them."""
    made: t.List[Client] = []

    def connect(**options: t.Any) -> Client:
        made.append(Client(options.pop("url", consul.url), **options))
        return made[-1]

    yield connect
    for client in made:
        client.close()
