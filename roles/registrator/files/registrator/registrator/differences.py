# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between what should be registered of one container and what is: a pure function."""

from __future__ import annotations

import typing as t

from .service import Service


class Located(t.NamedTuple):
    """A service and where the registry keeps it. That, and no id, is what tells one registration from another."""

    location: str
    service: Service


class Differences(t.NamedTuple):
    """What has to be written: the locations to empty, and what to register, in this order."""

    deregister: t.Tuple[str, ...]
    register: t.Tuple[Located, ...]


def differences(held: t.Mapping[str, str], wanted: t.Sequence[Located], fingerprint: t.Callable[[Service], str]) -> Differences:
    """Compare by location with ``held``, the fingerprints of what is there.

    Of several wanted services at one location the last is the one that stays registered.
    """
    final = dict(wanted)
    changed = {location for location, service in final.items() if held.get(location) != fingerprint(service)}
    return Differences(
        deregister=tuple(location for location in held if location not in final),
        register=tuple(one for one in wanted if one.location in changed),
    )
