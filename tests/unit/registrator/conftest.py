# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the Registrator's build context importable, as its image does."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "roles/registrator/files/registrator"))

from agent import Agent


@pytest.fixture
def agent() -> t.Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.server.shutdown()
    agent.server.server_close()
