# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a play sets for a group of modules, every module in it takes."""

from __future__ import annotations

import importlib
import pathlib

import pytest
import yaml
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS
from ansible_collections.discovery.consul.plugins.module_utils._docker.arguments import CONTAINER_ARGUMENTS

TOP = pathlib.Path(__file__).parents[3]
GROUPS = yaml.safe_load((TOP / "meta" / "runtime.yml").read_text())["action_groups"]
SHARED = {"api": API_ARGUMENTS, "container": CONTAINER_ARGUMENTS}


@pytest.mark.parametrize("group", GROUPS)
def test_all_modules_with_the_options_of_a_group_are_in_it_and_no_others(group: str) -> None:
    names = {path.stem for path in (TOP / "plugins" / "modules").glob("*.py")}
    arguments = {name: importlib.import_module(f"ansible_collections.discovery.consul.plugins.modules.{name}") for name in names}
    sharing = {f"discovery.consul.{name}" for name, module in arguments.items() if SHARED[group].keys() <= getattr(module, "ARGUMENTS", {}).keys()}
    assert set(GROUPS[group]) == sharing
