# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give rights in a real Consul. Needed: ``TEST_CONSUL``, the path of a consul binary. Without it these tests are skipped."""

from __future__ import annotations

import base64
import os
import pathlib
import sys
import typing as t

import pytest

for folder in ("tests/integration/registrator", "tests/integration/discovery"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / folder))

from servers import ACL, ROOT, Server  # noqa: E402 - from the folders above

CONSUL = os.environ.get("TEST_CONSUL", "")


def pytest_collection_modifyitems(items: t.List[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents and not CONSUL:
            item.add_marker(pytest.mark.skip(reason="TEST_CONSUL is not set"))


@pytest.fixture
def server(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., Server]]:
    """Start servers whose ACLs deny by default."""
    started: t.List[Server] = []

    def start(name: str = "node1", **config: t.Any) -> Server:
        started.append(Server(CONSUL, tmp_path, name, {"acl": ACL, **config}))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def consul(server: t.Callable[..., Server]) -> Server:
    one = server(encrypt=base64.b64encode(bytes(range(32))).decode())
    one.wait_for(lambda: one.get("/v1/acl/tokens"))
    return one


@pytest.fixture
def management() -> str:
    return ROOT
