# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images are built from which folders, and when they are built again."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.image_entries import build_entries, context_digest, image_entries


@pytest.fixture
def roles(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("consul", "registrator"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(f"FROM {name}")
    return tmp_path


IMAGES: list[dict[str, t.Any]] = [
    {"name": "official:1", "fallback": {"name": "local:1", "context": "consul"}},
    {"name": "own:1", "context": "registrator"},
    {"name": "kept:1", "archive": "/srv/kept.tar"},
]


def test_any_change_of_the_files_changes_the_digest(roles: pathlib.Path) -> None:
    file = roles / "consul" / "Dockerfile"
    seen = {context_digest(str(roles / "consul"))}
    for change in (
        lambda: file.write_text("FROM x"),
        lambda: file.chmod(0o755),
        lambda: file.rename(roles / "consul" / "Other"),
        lambda: (roles / "consul" / "new").write_text(""),
    ):
        change()
        seen.add(context_digest(str(roles / "consul")))
    assert len(seen) == 5
    (roles / "consul" / "__pycache__").mkdir()
    (roles / "consul" / "__pycache__" / "x.pyc").write_text("")
    assert context_digest(str(roles / "consul")) in seen


def test_the_module_gets_digests_and_names(roles: pathlib.Path) -> None:
    assert image_entries(IMAGES, str(roles)) == [
        {"name": "official:1", "fallback": "local:1"},
        {"name": "own:1", "digest": context_digest(str(roles / "registrator"))},
        {"name": "kept:1", "archive": "/srv/kept.tar"},
    ]


def test_what_is_missing_is_built_from_its_own_or_its_stand_ins_folder(roles: pathlib.Path) -> None:
    stand_in, own = build_entries([{"name": "official:1"}, {"name": "own:1"}], IMAGES, str(roles), "/work")
    assert (stand_in["name"], stand_in["instead_of"], stand_in["source"]) == ("local:1", "official:1", str(roles / "consul"))
    assert (own["name"], own["instead_of"], own["context"]) == ("own:1", "", f"/work/{own['digest']}")
