# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded case of the original's behaviour holds for our Registrator, run as a program."""

from __future__ import annotations

import json
import pathlib
import sys

import conformance
import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD_CONTEXT = HERE.parents[1] / "roles/registrator/files/registrator"
CASES = json.loads((HERE / "golden.json").read_text())


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_case_holds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(BUILD_CONTEXT))
    case = CASES[name]

    holds, code, operations, output = conformance.run(case, [sys.executable, "-m", "registrator"], 4.0)

    assert holds, f"want {case['want']}\ngot exit {code}, {operations}\n{output}"
    assert "Traceback" not in output
