# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of a real cluster (three servers s1 to s3 and the client s4, Consul 1.8.7), recorded by the reader itself."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace
from pathlib import Path

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import Expected, Readings

RECORDED = Path(__file__).parent / "recorded"
EXPECTED = [Expected(f"s{number}", number < 4, f"127.0.31.{number}", f"http://127.0.31.{number}:8500", f"127.0.31.{number}:8600") for number in (1, 2, 3, 4)]


def recorded(name: str) -> t.Any:
    """A reading as plain data, to change one thing in it."""
    return json.loads((RECORDED / f"{name}.json").read_text())


def readings(data: t.Any) -> Readings:
    """Plain data as a reading."""
    return Readings(
        nodes={node: _answers(answers) for node, answers in data["nodes"].items()},
        via=data["via"],
        cluster=_answers(data["cluster"]),
        dns={node: _answers(answers) for node, answers in data["dns"].items()},
    )


def asked_only(*names: str) -> list[Expected]:
    """What is expected, when only these nodes are asked."""
    return [node if node.name in names else replace(node, http=None, dns=None) for node in EXPECTED]


def _answers(answers: dict[str, t.Any]) -> dict[str, Answer]:
    return {question: Answer(**answer) for question, answer in answers.items()}
