# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""One instance of a service, as Consul had it at one moment."""

from __future__ import annotations

import types
import typing as t
from dataclasses import dataclass, field

from .text import printable

PASSING, WARNING, CRITICAL, MAINTENANCE = "passing", "warning", "critical", "maintenance"
STATUSES = (PASSING, WARNING, CRITICAL, MAINTENANCE)

Key = t.Tuple[str, str]


@dataclass(frozen=True)
class Instance:
    """Frozen, and comparable as a whole: two instances are equal when nothing about them differs."""

    id: str
    service: str
    node: str
    address: str
    port: int
    tags: t.Tuple[str, ...] = ()
    meta: t.Mapping[str, str] = field(default_factory=dict, hash=False)
    status: str = PASSING

    def __post_init__(self) -> None:
        object.__setattr__(self, "meta", types.MappingProxyType(dict(self.meta)))

    @property
    def key(self) -> Key:
        """What an instance is known by: Consul's service ids are unique on one node only."""
        return self.node, self.id

    @property
    def place(self) -> t.Tuple[str, str, str, int]:
        """The instance at its address: a container that was replaced is another one."""
        return self.node, self.id, self.address, self.port

    @property
    def netloc(self) -> str:
        """``address:port``, with an IPv6 address in brackets."""
        if not self.port:
            raise ValueError(f"{self.service} instance {printable(self.id)} is registered without a port")
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def url(self, path: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://{self.netloc}{path if path.startswith('/') else '/' + path}"

    def as_dict(self) -> t.Dict[str, t.Any]:
        """All fields, as JSON has them."""
        return {
            "id": self.id,
            "service": self.service,
            "node": self.node,
            "address": self.address,
            "port": self.port,
            "tags": list(self.tags),
            "meta": dict(self.meta),
            "status": self.status,
        }

    def __str__(self) -> str:
        tags = f" [{', '.join(map(printable, self.tags))}]" if self.tags else ""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{printable(self.service)} {printable(self.id)} {address}:{self.port}{tags} {self.status}"

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        # A read-only mapping cannot be pickled; instances are sent to other processes all the same.
        return _from_fields, (tuple(self.as_dict().items()),)


def _from_fields(fields: t.Tuple[t.Tuple[str, t.Any], ...]) -> Instance:
    given = dict(fields)
    return Instance(**{**given, "tags": tuple(given["tags"])})
