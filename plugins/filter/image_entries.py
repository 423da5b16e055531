# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the role container_image. The files of their names tell what each does."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import typing as t

Json = t.Dict[str, t.Any]

LEFT_OUT = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")


def context_files(folder: str) -> t.Iterator[tuple[str, str]]:
    """Path and name below the folder of all files, in one order wherever it is read."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(files):
            full = os.path.join(path, name)
            yield full, os.path.relpath(full, folder)


def context_digest(folder: str) -> str:
    """A digest of names, modes and contents of all files below the folder."""
    digest = hashlib.sha256()
    for full, name in context_files(folder):
        with open(full, "rb") as file:
            digest.update(f"{name}\0{bool(os.stat(full).st_mode & 0o100)}\0".encode())
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def folder_archive(folder: str) -> str:
    """All files below the folder as a gzipped tar in base64: one thing to send instead of one for each file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for full, name in context_files(folder):
            entry = tar.gettarinfo(full, name)
            entry.mode = 0o755 if entry.mode & 0o100 else 0o644
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            with open(full, "rb") as file:
                tar.addfile(entry, file)
    return base64.b64encode(buffer.getvalue()).decode()


def image_entries(images: list[Json], roles: str) -> list[Json]:
    """The entries, without what only the controller has."""
    entries = []
    for image in images:
        entry = {key: image[key] for key in ("name", "id", "pull") if image.get(key) is not None}
        if image.get("context"):
            entry.update(digest=context_digest(os.path.join(roles, image["context"])), on_controller=True)
        elif image.get("archive") and image.get("archive_on_host"):
            entry["archive"] = image["archive"]
        elif image.get("archive"):
            entry["on_controller"] = True
        if image.get("fallback"):
            entry["fallback"] = image["fallback"]["name"]
        entries.append(entry)
    return entries


def build_entries(missing: list[Json], images: list[Json], roles: str) -> list[Json]:
    """What to build for the missing entries, and from which folder of the controller."""
    by_name = {image["name"]: image for image in images}
    entries = []
    for one in missing:
        image = by_name[one["name"]]
        source = image if image.get("context") else image.get("fallback")
        if not source or image.get("archive"):
            continue
        folder = os.path.normpath(os.path.join(roles, source["context"]))
        entries.append(
            {
                "name": source["name"],
                "digest": context_digest(folder),
                "folder": folder,
                "instead_of": "" if source is image else image["name"],
                "reason": one["reason"],
            }
        )
    return entries


def copy_entries(held: list[Json], images: list[Json], roles: str, names: list[str]) -> list[Json]:
    """What is copied of `images`, those of `names`, from a host for whose engine the module answered `held`.

    `name` is the image that is there, or would have to be; `entry` is what the module is told where it is loaded.
    """
    entries = []
    for outcome, image in zip(held, images):
        if image["name"] not in names:
            continue
        entry = {"name": outcome["name"]}
        if image.get("context"):
            entry["digest"] = context_digest(os.path.join(roles, image["context"]))
        entries.append({"name": outcome["name"], "held": outcome["action"] == "none", "entry": entry})
    return entries


class FilterModule:
    """The filters for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "image_entries": image_entries,
            "build_entries": build_entries,
            "copy_entries": copy_entries,
            "folder_archive": folder_archive,
            "folder_digest": context_digest,
        }
