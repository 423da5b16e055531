# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: image_entries
short_description: The role's images as the module container_image takes them
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Replaces each folder of the controller by the digest of what is in it, so that the module can tell whether an image
    was built from the very same files before anything is copied.
positional: roles
options:
  _input:
    description: The role's list, with C(name), C(archive), C(context) and C(fallback).
    type: list
    elements: dict
    required: true
  roles:
    description: Folder of the controller that relative contexts are below.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Make images present
  discovery.consul.container_image:
    images: "{{ container_image_list | discovery.consul.image_entries(role_path ~ '/..') }}"
"""

RETURN = r"""
_value:
  description: Entries for the module.
  type: list
  elements: dict
"""

import hashlib
import os
import typing as t

Json = t.Dict[str, t.Any]

LEFT_OUT = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")


def context_digest(folder: str) -> str:
    """A digest of names, modes and contents of all files below the folder."""
    digest = hashlib.sha256()
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(files):
            full = os.path.join(path, name)
            with open(full, "rb") as file:
                digest.update(f"{os.path.relpath(full, folder)}\0{bool(os.stat(full).st_mode & 0o100)}\0".encode())
                digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def image_entries(images: list[Json], roles: str) -> list[Json]:
    """The entries, without what only the controller has."""
    entries = []
    for image in images:
        entry = {key: image[key] for key in ("name", "archive") if key in image}
        if "context" in image:
            entry["digest"] = context_digest(os.path.join(roles, image["context"]))
        if "fallback" in image:
            entry["fallback"] = image["fallback"]["name"]
        entries.append(entry)
    return entries


def build_entries(missing: list[Json], images: list[Json], roles: str, work: str) -> list[Json]:
    """What to build for the missing entries, and from which folder, to be copied below `work`."""
    by_name = {image["name"]: image for image in images}
    entries = []
    for one in missing:
        image = by_name[one["name"]]
        source = image if "context" in image else image["fallback"]
        folder = os.path.join(roles, source["context"])
        digest = context_digest(folder)
        entries.append(
            {
                "name": source["name"],
                "digest": digest,
                "context": os.path.join(work, digest),
                "source": os.path.normpath(folder),
                "instead_of": "" if source is image else image["name"],
            }
        )
    return entries


class FilterModule:
    """The filters for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"image_entries": image_entries, "build_entries": build_entries}
