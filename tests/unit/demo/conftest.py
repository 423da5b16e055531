# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the demonstration importable from its sources."""

from __future__ import annotations

import pathlib
import sys

PYTHON = pathlib.Path(__file__).resolve().parents[3] / "python"
sys.path[:0] = [str(PYTHON / "demo"), str(PYTHON / "consul_discovery" / "src")]
