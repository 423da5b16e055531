# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the SERVICE_ keys of a container's environment and labels.

A key is ``SERVICE_<name>``, or for some exposed ports only, the more precise beating the less precise:
``SERVICE_8000-8010_<name>``, ``SERVICE_53_<name>``, ``SERVICE_53_UDP_<name>``. At one level of precision a label beats
an environment variable, and a later variable an earlier one.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

PREFIX = "SERVICE_"
MOST_KEYS, LONGEST_VALUE = 256, 4096
# What the original reads as a number is for that port alone, even where no port is written like that.
PORT = re.compile(r"[+-]?[0-9]{1,20}\Z")
RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})\Z")
PROTOCOLS = ("tcp_", "udp_", "sctp_")
GENERIC, IN_RANGE, FOR_PORT, FOR_PROTOCOL = range(4)
# Either a comma that does not separate, or any one character but a comma: there is one way only to read a text.
ITEM = re.compile(r"(?:\\,|[^,])+")

Pair = t.Tuple[str, str]


@dataclass(frozen=True)
class Metadata:
    """The values for one port by lower-cased name, and the names that were given for it and not for every port."""

    values: t.Dict[str, str] = field(default_factory=dict)
    for_port: t.FrozenSet[str] = frozenset()

    def get(self, name: str) -> str:
        return self.values.get(name, "")


def pairs(environment: t.Iterable[str], labels: t.Mapping[str, str]) -> t.Tuple[t.List[Pair], t.List[str]]:
    """Return (name, value) of the SERVICE_ keys without their prefix, the weakest first, and a warning for what is left out."""
    found: t.List[Pair] = []
    warnings: t.List[str] = []
    # A label of the original is read as `key=value` too, so a label's key ends at its first `=`.
    for line in [*environment, *(f"{label}={labels[label]}" for label in sorted(labels) if label.startswith(PREFIX))]:
        if not line.startswith(PREFIX):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            continue
        if len(value) > LONGEST_VALUE:
            warnings.append(f"{key[:100]} is longer than {LONGEST_VALUE} characters: left out")
        elif len(found) == MOST_KEYS:
            return found, [*warnings, f"more than {MOST_KEYS} {PREFIX} keys: {key[:100]} and those after it are left out"]
        else:
            found.append((_text(key[len(PREFIX) :]).lower(), _text(value)))
    return found, warnings


def for_port(found: t.Iterable[Pair], port: str, protocol: str = "tcp") -> Metadata:
    """Return what ``pairs`` found as it applies to one exposed port, given as its number in decimal."""
    values: t.Dict[str, str] = {}
    precision: t.Dict[str, int] = {}
    for key, value in found:
        level, name = _read(key, port, protocol)
        if level >= precision.get(name, GENERIC):
            values[name] = value
            precision[name] = level
    return Metadata(values, frozenset(name for name, level in precision.items() if level > GENERIC))


def _read(key: str, port: str, protocol: str) -> t.Tuple[int, str]:
    """Return how precisely a key names this port, and the name without the port; -1 when it is another port's."""
    number, underscore, name = key.partition("_")
    limits = RANGE.match(number)
    if not underscore or not (PORT.match(number) or limits):
        return GENERIC, key
    if limits:
        is_inside = port.isdecimal() and int(limits[1]) <= int(port) <= int(limits[2])
        return (IN_RANGE if is_inside else -1), name
    if number != port:
        return -1, name
    for prefix in PROTOCOLS:
        if name.startswith(prefix):
            return (FOR_PROTOCOL if prefix == f"{protocol}_" else -1), name[len(prefix) :]
    return FOR_PORT, name


def split_list(text: str) -> t.List[str]:
    """Split at commas; ``\\,`` stands for a comma; empty items are dropped, order and spaces are kept."""
    return [item.replace("\\,", ",") for item in ITEM.findall(text)]


def _text(value: str) -> str:
    """Replace what UTF-8 cannot carry: a registry would give it back changed, and look different for ever."""
    return value.encode("utf-8", "replace").decode("utf-8")
