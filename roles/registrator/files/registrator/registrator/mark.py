# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark in a service's meta data by which a Registrator knows its own services.

``check_registrator`` holds ``<owner>/<container>/<digest of what the registry does not give back>``. The name
begins with ``check_`` because no metadata of a container ever reaches the meta data under that beginning (see
``mapping``): no container can forge the mark, and whoever compares records with the original's, which copies its
CHECK_ keys there, leaves that family of names out already.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

KEY = "check_registrator"


class Owner(t.NamedTuple):
    """Which Registrator one is. ``old`` is what it was called before it had a name of its own: the host's name."""

    text: str
    old: str

    def owns(self, owner: str) -> bool:
        """Tell whether a mark that names this owner is ours."""
        return bool(owner) and owner in self


class Mark(t.NamedTuple):
    owner: str
    container: str
    digest: str

    def text(self) -> str:
        return "/".join(self)


def read(meta: t.Optional[t.Mapping[str, str]]) -> t.Optional[Mark]:
    """Return the mark in a service's meta data, or None where there is none."""
    parts = str((meta or {}).get(KEY, "")).split("/")
    return Mark(*parts) if len(parts) == 3 else None


def digest(data: t.Any) -> str:
    """Return a short digest of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
