# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""An agent's configuration file on the Docker host: read, written whole, and what of it the agent has yet to take over."""

from __future__ import annotations

import json
import os
import shutil
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

FILE = "consul.json"
PENDING = ".pending"
"""Stands beside the file from before it changes until the agent has taken it over: an interrupted run leaves it there."""


class FolderError(OperatorError):
    """The folder cannot be read or written; the text says why."""


class ConfigFolder:
    """The folder that the container sees read-only. Files are 0600 and the folder 0700, owned by the agent's user."""

    def __init__(self, path: str, uid: int, gid: int) -> None:
        self.path = path
        self.uid = uid
        self.gid = gid

    def read(self) -> Json | None:
        """The configuration as it is on disk, or None when there is none; what is not JSON counts as empty."""
        text = self._text(FILE)
        if text is None:
            return None
        try:
            return t.cast(Json, json.loads(text))
        except ValueError:
            return {}

    def pending(self) -> str | None:
        """What an interrupted run had yet to do after it wrote the file: reload, restart, or None."""
        text = self._text(PENDING)
        return text.strip() if text is not None else None

    def well_owned(self) -> bool:
        """Whether folder and file have the owner and the modes that they should have."""
        return all(self._owner(path) == (self.uid, self.gid, mode) for path, mode in ((self.path, 0o700), (os.path.join(self.path, FILE), 0o600)))

    def write(self, config: Json, needs: str | None) -> None:
        """Put `config` in place whole. `needs` is kept as pending until `done` is called."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            os.chmod(self.path, 0o700)
            os.chown(self.path, self.uid, self.gid)
        except OSError as exc:
            raise FolderError(f"The configuration folder {self.path} cannot be made ({exc.strerror}). Make it writable, or give another config_dir.") from exc
        if needs:
            self._put(PENDING, needs + "\n")
        self._put(FILE, json.dumps(config, indent=2, sort_keys=True) + "\n")

    def done(self) -> None:
        """The agent has taken the file over."""
        try:
            os.remove(os.path.join(self.path, PENDING))
        except FileNotFoundError:
            pass

    def remove(self) -> bool:
        """Take the folder away; whether there was one."""
        if not os.path.isdir(self.path):
            return False
        shutil.rmtree(self.path)
        return True

    def _text(self, name: str) -> str | None:
        try:
            with open(os.path.join(self.path, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise FolderError(f"{os.path.join(self.path, name)} cannot be read ({exc.strerror}). Run with become: true.") from exc

    def _put(self, name: str, text: str) -> None:
        path = os.path.join(self.path, name)
        staged = f"{path}.new"
        try:
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(descriptor, 0o600)
                os.fchown(descriptor, self.uid, self.gid)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.replace(staged, path)
        except OSError as exc:
            raise FolderError(f"{path} cannot be written ({exc.strerror}). Make room or make it writable, or give another config_dir.") from exc

    @staticmethod
    def _owner(path: str) -> tuple[int, int, int] | None:
        try:
            status = os.stat(path)
        except OSError:
            return None
        return status.st_uid, status.st_gid, status.st_mode & 0o777
