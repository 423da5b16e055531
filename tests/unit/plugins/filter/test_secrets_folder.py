# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where secrets are kept when nothing else is said."""

from __future__ import annotations

import pathlib

from ansible_collections.discovery.consul.plugins.filter.secrets_folder import FilterModule, secrets_folder


def test_secrets_lie_beside_the_inventory(tmp_path: pathlib.Path) -> None:
    assert secrets_folder("dc1", str(tmp_path)) == str(tmp_path / ".secrets" / "dc1")
    assert secrets_folder("dc1", str(tmp_path), "/nowhere") == str(tmp_path / ".secrets" / "dc1")


def test_a_folder_at_the_former_place_is_used_as_long_as_there_is_no_other(tmp_path: pathlib.Path) -> None:
    inventory, playbooks = tmp_path / "inventory", tmp_path / "playbooks"
    former = playbooks / "secrets" / "dc1"
    former.mkdir(parents=True)
    assert secrets_folder("dc1", str(inventory), str(playbooks)) == str(former)
    assert secrets_folder("dc2", str(inventory), str(playbooks)) == str(inventory / ".secrets" / "dc2")
    (inventory / ".secrets" / "dc1").mkdir(parents=True)
    assert secrets_folder("dc1", str(inventory), str(playbooks)) == str(inventory / ".secrets" / "dc1")


def test_without_a_file_there_is_no_place() -> None:
    assert secrets_folder("dc1", None, "/nowhere") == ""
    assert secrets_folder("dc1", "") == ""
    assert secrets_folder("dc1", "None") == ""


def test_the_filter_goes_by_its_name() -> None:
    assert FilterModule().filters() == {"secrets_folder": secrets_folder}
