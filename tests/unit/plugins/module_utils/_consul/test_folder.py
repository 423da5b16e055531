# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration on the Docker host: private, whole, and honest about what the agent has yet to take over."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul.folder import ConfigFolder, as_text, parse
from ansible_collections.discovery.consul.plugins.module_utils._docker.folder import FolderError


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> ConfigFolder:
    return ConfigFolder(str(tmp_path / "node1"), os.getuid(), os.getgid())


def test_it_is_private_and_reads_back(folder: ConfigFolder) -> None:
    assert parse(folder.files()) is None
    folder.write({"consul.json": as_text({"a": 1}), "key.pem": "secret\n"}, needs=None)
    assert parse(folder.files()) == {"a": 1}
    assert folder.files()["key.pem"] == "secret\n"
    assert folder.private(folder.files())
    assert os.stat(folder.path).st_mode & 0o777 == 0o700
    assert sorted(os.listdir(folder.path)) == ["consul.json", "key.pem"]


def test_a_file_that_is_not_wanted_any_more_goes_and_those_of_others_stay(folder: ConfigFolder) -> None:
    folder.write({"consul.json": "{}", "key.pem": "secret\n"}, needs=None)
    folder.put("mine.json", "{}")
    folder.put("extra-000-old.hcl", "")
    assert "extra-000-old.hcl" in folder.files()
    folder.write({"consul.json": "{}"}, needs=None)
    assert sorted(os.listdir(folder.path)) == ["consul.json", "mine.json"]


def test_an_interrupted_run_is_remembered(folder: ConfigFolder) -> None:
    folder.write({"consul.json": "{}"}, needs="restart")
    assert folder.pending() == "restart"
    folder.done()
    folder.done()
    assert folder.pending() is None


def test_open_files_are_seen(folder: ConfigFolder) -> None:
    folder.write({"consul.json": "{}", "key.pem": "secret\n"}, needs=None)
    os.chmod(os.path.join(folder.path, "key.pem"), 0o644)
    assert not folder.private(folder.files())


def test_what_is_not_json_counts_as_empty(folder: ConfigFolder) -> None:
    folder.prepare()
    folder.put("consul.json", "{broken")
    assert parse(folder.files()) == {}


def test_a_place_that_cannot_be_written_is_a_sentence() -> None:
    with pytest.raises(FolderError, match=r"cannot be made .* give another config_dir"):
        ConfigFolder("/proc/nowhere", os.getuid(), os.getgid()).write({}, needs=None)


def test_removing_leaves_nothing(folder: ConfigFolder) -> None:
    folder.write({}, needs=None)
    folder.remove()
    folder.remove()
    assert not folder.exists()
