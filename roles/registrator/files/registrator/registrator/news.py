# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was heard of a container since somebody worked on it last: a set of words."""

from __future__ import annotations

import typing as t

News = t.FrozenSet[str]

NOTHING: News = frozenset()
LOOK = "look"  # see what is true now: a list, a comparison or an old event gives reason to
CHANGED = "changed"
REWRITE = "rewrite"  # the registry lost or changed what is still right
STARTED, DIED = "start", "die"
KILL = "kill:"  # and the number of the signal
SUPERSEDING = frozenset({STARTED, DIED})


def merged(earlier: News, later: News) -> News:
    """Return what is left to be known: what a container did before it started or ended says nothing any more."""
    return later if later & SUPERSEDING else earlier | later


def is_death(news: News) -> bool:
    """Tell whether the container is known to have ended, without a look at it."""
    return DIED in news and LOOK not in news and STARTED not in news
