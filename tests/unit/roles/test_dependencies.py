# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles and playbooks use of other collections is declared, and nothing else is."""

from __future__ import annotations

import pathlib
import re

import yaml

TOP = pathlib.Path(__file__).parents[3]
OWN = {"ansible.builtin", "discovery.consul"}
NAME = re.compile(r"\b([a-z]+\.[a-z]+)\.[a-z0-9_]+(?=[:(\s\"]|$)")


def test_each_collection_that_is_used_is_a_dependency_and_no_other_one() -> None:
    texts = [path.read_text() for folder in ("roles", "playbooks") for path in (TOP / folder).rglob("*.yml") if "files" not in path.parts]
    used = {name for text in texts for name in NAME.findall(text) if name.startswith(("ansible.", "community.", "discovery."))}
    declared = yaml.safe_load((TOP / "galaxy.yml").read_text())["dependencies"]
    assert used - OWN == set(declared) and used >= OWN
