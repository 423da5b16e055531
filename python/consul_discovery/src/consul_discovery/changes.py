# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""What differs between two lists of instances."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .instance import Instance, Key

ADDED, CHANGED, REMOVED = "added", "changed", "removed"


@dataclass(frozen=True)
class Change:
    """``previous`` is what was told before of an instance that changed."""

    kind: str
    instance: Instance
    previous: t.Optional[Instance] = None

    def as_dict(self) -> t.Dict[str, t.Any]:
        previous = {"previous": self.previous.as_dict()} if self.previous else {}
        return {"change": self.kind, **self.instance.as_dict(), **previous}

    def __str__(self) -> str:
        return f"{self.kind} {self.instance}"


def between(before: t.Mapping[Key, Instance], after: t.Sequence[Instance]) -> t.Iterator[Change]:
    """What is new comes first: whoever follows along never has fewer instances than both lists share."""
    now = {instance.key: instance for instance in after}
    for key, instance in now.items():
        if key not in before:
            yield Change(ADDED, instance)
    for key, instance in now.items():
        if key in before and before[key] != instance:
            yield Change(CHANGED, instance, before[key])
    for key, instance in before.items():
        if key not in now:
            yield Change(REMOVED, instance)
