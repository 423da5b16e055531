# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets are made once, privately, and never again."""

from __future__ import annotations

import base64
import os
import pathlib
import uuid

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import secrets

WANTED = secrets.wanted(True, ["management", "agent-node1"])


def test_they_are_private_and_of_the_right_kind(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "deep" / "dc1"
    assert secrets.make(str(folder), WANTED, check_mode=False) == ["gossip.key", "tokens/management", "tokens/agent-node1"]
    assert len(base64.b64decode((folder / "gossip.key").read_text())) == 32
    assert uuid.UUID((folder / "tokens" / "management").read_text().strip()).version == 4
    assert {os.stat(path).st_mode & 0o777 for path in (folder, folder / "tokens")} == {0o700}
    assert {os.stat(path).st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}


def test_what_is_there_stays_even_when_it_is_encrypted(tmp_path: pathlib.Path) -> None:
    (tmp_path / "gossip.key").write_text("$ANSIBLE_VAULT;1.1;AES256\n")
    secrets.make(str(tmp_path), WANTED, check_mode=False)
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert secrets.make(str(tmp_path), WANTED, check_mode=False) == []
    assert before == {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert before[tmp_path / "gossip.key"].startswith("$ANSIBLE_VAULT")


def test_check_mode_makes_nothing(tmp_path: pathlib.Path) -> None:
    assert secrets.make(str(tmp_path / "dc1"), WANTED, check_mode=True)
    assert not (tmp_path / "dc1").exists()


@pytest.mark.parametrize("name", ["../escape", "", "a/b", ".hidden"])
def test_a_name_that_is_no_file_is_a_sentence(name: str) -> None:
    with pytest.raises(secrets.SecretsError, match="is no name of a token"):
        secrets.wanted(False, [name])


def test_a_folder_that_cannot_be_made_is_a_sentence() -> None:
    with pytest.raises(secrets.SecretsError, match=r"/proc/dc1 cannot be made .* Make the folder writable"):
        secrets.make("/proc/dc1", WANTED, check_mode=False)
