# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A name that begins with two underscores belongs to its role, and one file of the role gives it its value."""

from __future__ import annotations

import collections
import pathlib
import re

PROJECT = pathlib.Path(__file__).resolve().parents[3]
PRIVATE = re.compile(r"__(consul_agent|container_image|docker_engine|consul_dns|python_environment|registrator|service_renderer)_\w+")
SET = re.compile(r"^\s*(?:- )?(?:(?:register|loop_var|index_var): (__\w+)|(__\w+):(?!\w))")


def files(*patterns: str) -> list[pathlib.Path]:
    found = [path for pattern in patterns for path in PROJECT.glob(pattern)]
    assert found, patterns
    return found


def test_nobody_else_uses_a_name_that_is_private_to_a_role() -> None:
    everywhere = files(
        "roles/**/*.yml", "roles/**/*.j2", "playbooks/**/*.yml", "molecule/**/*.yml", "inventory/**/*.yml", "plugins/**/*.py", "tests/ansible/*.yml"
    )
    strange = {
        f"{path.relative_to(PROJECT)}: {name[0]}"
        for path in everywhere
        for name in PRIVATE.finditer(path.read_text(encoding="utf-8"))
        if path.relative_to(PROJECT).parts[:2] != ("roles", name[1])
    }
    assert strange == set()


def test_one_file_alone_sets_a_private_name() -> None:
    setters: dict[str, set[str]] = collections.defaultdict(set)
    for path in files("roles/*/tasks/*.yml", "roles/*/vars/**/*.yml", "roles/*/defaults/*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := SET.match(line):
                setters[found[1] or found[2]].add(str(path.relative_to(PROJECT)))
    assert len(setters) > 100
    assert {name: paths for name, paths in setters.items() if len(paths) > 1} == {}
