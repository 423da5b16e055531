# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release of Consul that is deployed by default is named in one place, and everything else has it from there."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import subprocess
import types

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import versions

PROJECT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = versions.show(versions.NEWEST_KNOWN)
TEXT = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")


@pytest.fixture(scope="module")
def render() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("render", PROJECT / "docs" / "render.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(pattern: str, render: types.ModuleType) -> dict[str, set[str]]:
    """Which files name what looks like this, among those that name no releases on purpose."""
    found = {}
    for name in TEXT:
        path = PROJECT / name
        if name and path.is_file() and not path.is_symlink() and not name.startswith(render.ON_PURPOSE):
            texts = set(re.findall(pattern, path.read_text(encoding="utf-8", errors="replace")))
            if texts:
                found[name] = texts
    return found


def test_docs_render_reads_the_one_place(render: types.ModuleType) -> None:
    assert render.release() == DEFAULT


def test_the_image_is_of_one_release_wherever_it_is_named(render: types.ModuleType) -> None:
    found = named(r"hashicorp/consul:(\d[\w.+-]*)", render)
    assert {release for releases in found.values() for release in releases} == {DEFAULT}
    assert "roles/consul_agent/defaults/main.yml" in found and "inventory/many_hosts/hosts.yml" in found


def test_nothing_else_names_that_release(render: types.ModuleType) -> None:
    spelled = r"(?<!hashicorp/consul:)(?<![\d.])(?:" + re.escape(DEFAULT) + "|" + re.escape(str(versions.NEWEST_KNOWN)) + r")(?![\d.])"
    assert named(spelled, render) == {"plugins/module_utils/_consul/versions.py": {str(versions.NEWEST_KNOWN)}}


def test_what_is_rendered_is_only_written_where_it_was_another_release(render: types.ModuleType) -> None:
    assert render.IMAGE.sub("9.9.9", "hashicorp/consul:1.22.6, consul:1.8.7 and 1.22.6") == "hashicorp/consul:9.9.9, consul:1.8.7 and 1.22.6"
