# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""An agent's configuration file on the Docker host, and what of it the agent has yet to take over."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.folder import Folder

Json = t.Dict[str, t.Any]

FILE = "consul.json"
PENDING = ".pending"
"""Stands beside the file from before it changes until the agent has taken it over: an interrupted run leaves it there."""


class ConfigFolder(Folder):
    """The folder that the agent loads its configuration from."""

    def read(self) -> Json | None:
        """The configuration as it is on disk, or None when there is none; what is not JSON counts as empty."""
        text = self.text(FILE)
        if text is None:
            return None
        try:
            return t.cast(Json, json.loads(text))
        except ValueError:
            return {}

    def pending(self) -> str | None:
        """What an interrupted run had yet to do after it wrote the file: reload, restart, or None."""
        text = self.text(PENDING)
        return text.strip() if text is not None else None

    def private(self) -> bool:
        """Whether only the agent's user can read the file."""
        return self.well_owned(FILE)

    def write(self, config: Json, needs: str | None) -> None:
        """Put `config` in place. `needs` is kept as pending until `done` is called."""
        self.prepare()
        if needs:
            self.put(PENDING, needs + "\n")
        self.put(FILE, json.dumps(config, indent=2, sort_keys=True) + "\n")

    def done(self) -> None:
        """The agent has taken the file over."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self.path, PENDING))
