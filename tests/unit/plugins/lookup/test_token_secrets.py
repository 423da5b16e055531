# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A token's secret is the one that is given, or else in its file, which may be encrypted."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.discovery.consul.plugins.lookup.token_secrets import with_secrets

Json = t.Dict[str, t.Any]

SECRET = "aaaaaaaa-0000-4000-8000-000000000001"


@pytest.fixture
def loader() -> DataLoader:
    made = DataLoader()
    made.set_vault_secrets([("default", VaultSecret(b"swordfish"))])
    return made


def look_up(loader: DataLoader, tokens: list[Json], folder: pathlib.Path, missing: str = "error") -> list[Json]:
    return with_secrets(tokens, str(folder), missing, loader.get_text_file_contents)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_secret_comes_from_the_file_of_its_name(loader: DataLoader, tmp_path: pathlib.Path, encrypted: bool) -> None:
    (tmp_path / "tokens").mkdir()
    text = f"{SECRET}\n".encode()
    (tmp_path / "tokens" / "shop").write_bytes(VaultLib([("default", VaultSecret(b"swordfish"))]).encrypt(text) if encrypted else text)
    given = {"name": "given", "secret": "other"}
    assert look_up(loader, [{"name": "shop", "roles": ["a"]}, given], tmp_path) == [{"name": "shop", "roles": ["a"], "secret": SECRET}, given]


def test_a_missing_file_is_an_error_unless_it_is_not_needed(loader: DataLoader, tmp_path: pathlib.Path) -> None:
    with pytest.raises(AnsibleLookupError, match=r"The token shop has no secret: .*/tokens/shop does not exist"):
        look_up(loader, [{"name": "shop"}], tmp_path)
    assert look_up(loader, [{"name": "shop"}], tmp_path, missing="ignore") == [{"name": "shop", "secret": ""}]
    assert look_up(loader, [{"name": "shop", "state": "absent"}], tmp_path) == [{"name": "shop", "state": "absent"}]
