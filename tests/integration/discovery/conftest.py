# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the library against a real Consul."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

for folder in ("python/consul_discovery/src", "tests/unit/discovery"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / folder))

from consul_discovery import Client  # noqa: E402 - from the folders above


@pytest.fixture
def connect() -> t.Iterator[t.Callable[..., Client]]:
    made: t.List[Client] = []

    def connect(url: str, **options: t.Any) -> Client:
        made.append(Client(url, **options))
        return made[-1]

    yield connect
    for client in made:
        client.close()
