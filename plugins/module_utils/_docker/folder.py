# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A folder of private files on the Docker host that a container sees: 0700, its files 0600, owned by the program's user."""

from __future__ import annotations

import contextlib
import os
import shutil

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError


class FolderError(OperatorError):
    """The folder or a file in it cannot be read or written; the text says why."""


class Folder:
    """One such folder. Files are written whole or not at all."""

    def __init__(self, path: str, uid: int, gid: int) -> None:
        self.path = path
        self.uid = uid
        self.gid = gid

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def names(self) -> list[str]:
        """What is in it; nothing when it is not there."""
        try:
            return sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise FolderError(f"{self.path} cannot be read ({exc.strerror}). Run with become: true.") from exc

    def text(self, name: str) -> str | None:
        """What is in the file, or None when there is none."""
        try:
            with open(self._file(name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise FolderError(f"{self._file(name)} cannot be read ({exc.strerror}). Run with become: true.") from exc

    def prepare(self) -> None:
        """Make the folder, or put its owner and mode right."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            os.chmod(self.path, 0o700)
            os.chown(self.path, self.uid, self.gid)
        except OSError as exc:
            raise FolderError(f"The folder {self.path} cannot be made ({exc.strerror}). Make it writable, or give another config_dir.") from exc

    def put(self, name: str, text: str) -> None:
        """Replace the file."""
        staged = f"{self._file(name)}.new"
        try:
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(descriptor, 0o600)
                os.fchown(descriptor, self.uid, self.gid)
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.replace(staged, self._file(name))
        except OSError as exc:
            raise FolderError(f"{self._file(name)} cannot be written ({exc.strerror}). Make room or make it writable, or give another config_dir.") from exc

    def drop(self, name: str) -> None:
        """Remove the file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._file(name))

    def well_owned(self, *names: str) -> bool:
        """Whether the folder and the files have the owner and the modes that they should have."""
        wanted = [(self.path, 0o700), *((self._file(name), 0o600) for name in names)]
        return all(_owner(path) == (self.uid, self.gid, mode) for path, mode in wanted)

    def remove(self) -> None:
        if self.exists():
            shutil.rmtree(self.path)

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)


def _owner(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_uid, status.st_gid, status.st_mode & 0o777
