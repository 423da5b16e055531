# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One fake engine per test."""

from __future__ import annotations

import pathlib
import tempfile
import typing as t

import pytest
from fake_engine import FakeEngine


@pytest.fixture
def fake() -> t.Iterator[FakeEngine]:
    with tempfile.TemporaryDirectory() as folder:
        engine = FakeEngine(str(pathlib.Path(folder) / "docker.sock"))
        yield engine
        engine.close()
