# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give rights in a real Consul."""

from __future__ import annotations

import base64
import typing as t

import pytest
from servers import ACL, ROOT, Server


@pytest.fixture
def server(server: t.Callable[..., Server]) -> t.Callable[..., Server]:
    """Start servers whose ACLs deny by default."""
    return lambda name="node1", **config: server(name, **{"acl": ACL, **config})


@pytest.fixture
def consul(server: t.Callable[..., Server]) -> Server:
    one = server(encrypt=base64.b64encode(bytes(range(32))).decode())
    one.wait_for(lambda: one.get("/v1/acl/tokens"))
    return one


@pytest.fixture
def management() -> str:
    return ROOT
