# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ids and names a service may have.

An id and a name become parts of paths: of the agent's API, of keys, of nodes. What a container chose must not lead
anywhere else there, and must come back from the registry as it was written.
"""

from __future__ import annotations

import fnmatch
import typing as t

LONGEST = 255  # bytes; two of them and a prefix fit into the 512 of a key in Consul's store
RESERVED = "?#"
DOTS = (".", "..")

AGENT_SCHEMES = ("consul", "consul-unix", "consul-tls")
"""The schemes of ``registry.ADAPTERS`` that are a Consul agent, where the servers' own service is."""

OF_SERVERS = "consul"
"""The service that Consul's servers register of themselves. Who joins, asks the health check or looks for a server by DNS finds it by this name."""


def unfit(text: str) -> str:
    """Return why a text can be neither an id nor a name; an empty string when it can."""
    if len(text.encode("utf-8", "replace")) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    if not text.isprintable():
        return "has unprintable characters"
    if any(character in text for character in RESERVED):
        return "has a ? or #"
    return "" if is_path(text) else "has a part between slashes that is empty, . or .."


def is_path(text: str) -> bool:
    """Tell whether every server and library reads a text with slashes as a path that leads down, part by part."""
    segments = set(text.split("/"))
    return "" not in segments and segments.isdisjoint(DOTS)


def is_allowed(name: str, patterns: t.Sequence[str]) -> bool:
    """Tell whether a service's name matches one of the patterns (``*`` and ``?`` as in a shell), or there are none."""
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
