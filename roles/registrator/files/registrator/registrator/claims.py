# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a service may be written where something is already: a pure function.

An id that a Registrator gives by itself holds the host's and the container's names, which are nobody else's. An id that
a container chose may be anything, somebody else's, too: it takes nothing away from anybody.
"""

from __future__ import annotations

import typing as t

from .mark import Owner
from .service import Found, Service


def obstacle(service: Service, is_chosen: bool, holder: t.Optional[Service], found: t.Optional[Found], owner: Owner, take_over: bool) -> str:
    """Return whose the location is when ``service`` must not be written there; an empty string when it may.

    ``is_chosen`` says whether the container chose the location, ``holder`` is the service of ours that is registered there,
    ``found`` what the registry holds there otherwise. With ``take_over`` what bears no mark may be replaced by its like.
    """
    if holder is not None:
        return f"is the id of another container of this host, {holder.container[:12]}" if is_chosen else ""
    if found is None or owner.owns(found.owner):
        return ""
    if found.owner:
        return f"belongs to another Registrator, {found.owner}"
    is_alike = take_over and found.name == service.name and found.endpoint == service.endpoint
    return "is registered by somebody else" if is_chosen and not is_alike else ""
