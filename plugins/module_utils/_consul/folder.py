# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""An agent's configuration on the Docker host, with the files that it names, and what the agent has yet to take over."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.extra_files import PREFIX
from ansible_collections.discovery.consul.plugins.module_utils._consul.security import FILES
from ansible_collections.discovery.consul.plugins.module_utils._docker.folder import Folder

Json = t.Dict[str, t.Any]
Files = t.Dict[str, str]

FILE = "consul.json"
NAMES = {FILE, *FILES.values()}
"""Our own files. Copies of the user's own come beside them, with names that begin with `extra_files.PREFIX`."""
PENDING = ".pending"
"""Stands beside the files from before they change until the agent has taken them over: an interrupted run leaves it there."""


class ConfigFolder(Folder):
    """The folder that the agent loads its configuration from."""

    def files(self) -> Files:
        """The configuration and the files that it names, as far as they are there."""
        found = {name: self.text(name) for name in self._names()}
        return {name: text for name, text in found.items() if text is not None}

    def pending(self) -> str | None:
        """What an interrupted run had yet to do after it wrote the files: reload, restart, or None."""
        text = self.text(PENDING)
        return text.strip() if text is not None else None

    def private(self, files: Files) -> bool:
        """Whether only the agent's user can read them."""
        return self.well_owned(*files)

    def write(self, files: Files, needs: str | None) -> None:
        """Put `files` in place, and no others of ours. `needs` is kept as pending until `done` is called."""
        self.prepare()
        if needs:
            self.put(PENDING, needs + "\n")
        for name, text in files.items():
            self.put(name, text)
        for name in self._names() - files.keys():
            self.drop(name)

    def _names(self) -> set[str]:
        return {*NAMES, *(name for name in self.names() if name.startswith(PREFIX))}

    def done(self) -> None:
        """The agent has taken the files over."""
        self.drop(PENDING)


def parse(files: Files) -> Json | None:
    """The configuration among the files, or None when it is not there; what is not JSON counts as empty."""
    if FILE not in files:
        return None
    try:
        return t.cast(Json, json.loads(files[FILE]))
    except ValueError:
        return {}


def as_text(config: Json) -> str:
    return json.dumps(config, indent=2, sort_keys=True) + "\n"
