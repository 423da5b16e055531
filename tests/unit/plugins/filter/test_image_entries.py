# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images are built from which folders, and when they are built again."""

from __future__ import annotations

import base64
import io
import pathlib
import tarfile
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.image_entries import build_entries, context_digest, copy_entries, folder_archive, image_entries


@pytest.fixture
def roles(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("consul", "registrator"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(f"FROM {name}")
    return tmp_path


IMAGES: list[dict[str, t.Any]] = [
    {"name": "official:1", "fallback": {"name": "local:1", "context": "consul"}, "id": "sha256:one", "pull": "always"},
    {"name": "own:1", "context": "registrator"},
    {"name": "kept:1", "archive": "/srv/kept.tar", "archive_on_host": True},
    {"name": "brought:1", "archive": "files/brought.tar"},
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


def test_an_archive_holds_exactly_what_the_digest_is_of(roles: pathlib.Path) -> None:
    folder = roles / "consul"
    (folder / "below" / "__pycache__").mkdir(parents=True)
    (folder / "below" / "__pycache__" / "x.pyc").write_text("")
    (folder / "below" / "run").write_text("#!/bin/sh")
    (folder / "below" / "run").chmod(0o775)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(folder_archive(str(folder)))), mode="r:gz") as tar:
        assert [(one.name, one.mode, one.uid, one.uname) for one in tar] == [("Dockerfile", 0o644, 0, ""), ("below/run", 0o755, 0, "")]
        for one in tar:
            copy = roles / "copy" / one.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(tar.extractfile(one).read())
            copy.chmod(one.mode)
    assert context_digest(str(roles / "copy")) == context_digest(str(folder))


def test_the_module_gets_digests_and_names(roles: pathlib.Path) -> None:
    assert image_entries(IMAGES, str(roles)) == [
        {"name": "official:1", "fallback": "local:1", "id": "sha256:one", "pull": "always"},
        {"name": "own:1", "digest": context_digest(str(roles / "registrator")), "on_controller": True},
        {"name": "kept:1", "archive": "/srv/kept.tar"},
        {"name": "brought:1", "on_controller": True},
    ]


def test_what_is_missing_is_built_from_its_own_or_its_stand_ins_folder(roles: pathlib.Path) -> None:
    missing = [{"name": name, "reason": "why"} for name in ("official:1", "own:1", "brought:1")]
    stand_in, own = build_entries(missing, IMAGES, str(roles))
    assert stand_in == {
        "name": "local:1",
        "digest": context_digest(str(roles / "consul")),
        "folder": str(roles / "consul"),
        "instead_of": "official:1",
        "reason": "why",
    }
    assert (own["name"], own["instead_of"], own["folder"]) == ("own:1", "", str(roles / "registrator"))


def test_what_is_copied_is_what_the_other_host_holds_of_what_is_missing(roles: pathlib.Path) -> None:
    held = [{"name": "local:1", "action": "none"}, {"name": "own:1", "action": "missing"}, {"name": "kept:1", "action": "none"}]
    assert copy_entries(held, IMAGES[:3], str(roles), ["official:1", "own:1"]) == [
        {"name": "local:1", "held": True, "entry": {"name": "local:1"}},
        {"name": "own:1", "held": False, "entry": {"name": "own:1", "digest": context_digest(str(roles / "registrator"))}},
    ]
