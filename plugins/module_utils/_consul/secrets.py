# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The secrets of a cluster, made once: a file for each, which nothing here ever reads or changes again."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import typing as t
import uuid

from ansible_collections.discovery.consul.plugins.module_utils._consul.security import GOSSIP_KEY_BYTES
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

GOSSIP_FILE = "gossip.key"
TOKEN_FOLDER = "tokens"

Maker = t.Callable[[], str]

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


class SecretsError(OperatorError):
    """A secret that cannot be made; the text says why."""


def gossip_key() -> str:
    return base64.b64encode(secrets.token_bytes(GOSSIP_KEY_BYTES)).decode()


def token() -> str:
    return str(uuid.uuid4())


def wanted(with_gossip_key: bool, tokens: t.Iterable[str]) -> dict[str, Maker]:
    """File names, relative to the folder, and how each is made."""
    found: dict[str, Maker] = {GOSSIP_FILE: gossip_key} if with_gossip_key else {}
    for name in tokens:
        if not _NAME.match(name):
            raise SecretsError(f"'{name}' is no name of a token. Use letters, digits, dots and dashes.")
        found[f"{TOKEN_FOLDER}/{name}"] = token
    return found


def make(folder: str, files: t.Mapping[str, Maker], check_mode: bool) -> list[str]:
    """Make the files that are missing; their names."""
    missing = [name for name in files if not os.path.lexists(os.path.join(folder, name))]
    if missing and not check_mode:
        try:
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o700)
            for name in missing:
                write(os.path.join(folder, name), files[name]() + "\n")
        except OSError as exc:
            raise SecretsError(f"The secret {exc.filename} cannot be made ({exc.strerror}). Make the folder writable, or give another one.") from exc
    return missing


def write(path: str, text: str, over: bool = False) -> None:
    """Whole or not at all, for the owner alone. Without `over` what is there stays: two runs may want it at the same time."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    staged = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if over:
            os.rename(staged, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(staged, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(staged)
