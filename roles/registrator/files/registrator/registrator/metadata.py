# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the SERVICE_ keys of a container's environment and labels.

A key is ``SERVICE_<name>`` or, for one exposed port, ``SERVICE_<port>_<name>``. What names the port beats what does
not; within one level a label beats an environment variable, and a later variable an earlier one.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

PREFIX = "SERVICE_"
INTEGER = re.compile(r"[+-]?[0-9]+\Z")


@dataclass(frozen=True)
class Metadata:
    """The values for one port by lower-cased name, and the names that were given for just this port."""

    values: t.Dict[str, str] = field(default_factory=dict)
    for_port: t.FrozenSet[str] = frozenset()

    def get(self, name: str) -> str:
        return self.values.get(name, "")


def pairs(environment: t.Iterable[str], labels: t.Mapping[str, str]) -> t.List[t.Tuple[str, str]]:
    """Return (name, value) of every SERVICE_ key without its prefix, the weakest first."""
    found = []
    for line in environment:
        key, equals, value = line.partition("=")
        if equals and key.startswith(PREFIX):
            found.append((key[len(PREFIX) :].lower(), _text(value)))
    for label in sorted(labels):
        # A label of the original is read as `key=value` too, so a label's key ends at its first `=`.
        key, _, value = f"{label}={labels[label]}".partition("=")
        if key.startswith(PREFIX):
            found.append((key[len(PREFIX) :].lower(), _text(value)))
    return found


def for_port(found: t.Iterable[t.Tuple[str, str]], port: str) -> Metadata:
    """Return what ``pairs`` found as it applies to one exposed port, given as its number in decimal."""
    values: t.Dict[str, str] = {}
    specific: t.Set[str] = set()
    for key, value in found:
        number, underscore, name = key.partition("_")
        if underscore and INTEGER.match(number):
            if number == port:
                values[name] = value
                specific.add(name)
        elif key not in specific:
            values[key] = value
    return Metadata(values, frozenset(specific))


def split_list(text: str) -> t.List[str]:
    """Split at commas; ``\\,`` stands for a comma; empty items are dropped, order and spaces are kept."""
    items = [""]
    position = 0
    while position < len(text):
        if text.startswith("\\,", position):
            items[-1] += ","
            position += 2
        elif text[position] == ",":
            items.append("")
            position += 1
        else:
            items[-1] += text[position]
            position += 1
    return [item for item in items if item]


def _text(value: str) -> str:
    """Replace what UTF-8 cannot carry: a registry would give it back changed, and look different for ever."""
    return value.encode("utf-8", "replace").decode("utf-8")
