# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Configuration files of the user's own, which become copies in the agent's folder: what the agent reads is then what was compared.

A file that is mounted by itself would stay what it was when somebody replaces it, because a mount holds the file and not its name.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul import config, versions
from ansible_collections.discovery.consul.plugins.module_utils._consul.config import ConfigError
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import RELOAD, RESTART

Files = t.Dict[str, str]

PREFIX = "extra-"
"""Comes after `consul.json`: an agent reads its folder in the order of the names, and what it reads last counts."""

KINDS = (".json", ".hcl")

# What is left of HCL without them are names, braces and signs.
_HCL_TEXTS = re.compile(r"""#[^\n]*|//[^\n]*|/\*.*?\*/|<<-?\s*(\w+)\n.*?\n\s*\1\b|"(?:\\.|[^"\\])*\"""", re.S)
_HCL_TOKEN = re.compile(r"[{}\[\]]|[A-Za-z_]\w*(?=\s*[={\[])")


def read(paths: t.Iterable[str]) -> Files:
    """The contents of all files, by the names that they get in the agent's folder. Of a folder, all that an agent would load of it."""
    found = [path for given in paths for path in _files(given)]
    return {f"{PREFIX}{number:03}-{os.path.basename(path)}": _text(path) for number, path in enumerate(found)}


def needs(held: str | None, wanted: str | None) -> str:
    """What an agent needs to take over the change of a file: a reload where that is known to do, else a restart."""
    keys = {key for text in (held, wanted) if text is not None for key in _keys(text)}
    if held is not None and wanted is not None:
        one, other = _parsed(held), _parsed(wanted)
        if one is not None and other is not None:
            keys = {difference.name.partition(".")[2] for difference in config.changes(one, other)}
    return RELOAD if all(config.is_below(key, versions.RELOADABLE) for key in keys) else RESTART


def _files(path: str) -> list[str]:
    if os.path.isdir(path):
        return sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith(KINDS))
    if not path.endswith(KINDS):
        raise ConfigError(f"config_files names {path}, and Consul reads files that end in .json or .hcl only. Rename it.")
    return [path]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as exc:
        raise ConfigError(f"config_files names {path}, which cannot be read ({getattr(exc, 'strerror', exc)}). Give a text file that is there.") from exc


def _keys(text: str) -> set[str]:
    """The keys that a file has at its top, dotted below it where that can be told."""
    parsed = _parsed(text)
    return set(config.flatten(parsed)) if parsed is not None else _hcl_keys(text)


def _parsed(text: str) -> config.Json | None:
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _hcl_keys(text: str) -> set[str]:
    found, depth = set(), 0
    for token in _HCL_TOKEN.findall(_HCL_TEXTS.sub(" ", text)):
        if token in "{[":
            depth += 1
        elif token in "}]":
            depth -= 1
        elif depth == 0:
            found.add(token)
    return found
