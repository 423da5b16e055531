# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is registered: one port of one container."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


class Health(t.NamedTuple):
    """What the engine says of a container's health: ``passing``, ``warning`` or ``critical``, and why."""

    status: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """One registration.

    ``address`` may be empty: the registry then uses the address of its own node. ``check`` is the health check in the
    words of Consul's agent API, without an identifier. ``health`` is there when the engine's own opinion is to be
    carried into the registry too. ``container`` is the engine's full identifier. ``is_id_chosen`` says that the
    container's metadata chose the id: nothing vouches then for its being the container's own.
    """

    id: str
    name: str
    address: str
    port: int
    container: str
    tags: t.Tuple[str, ...] = ()
    meta: t.Mapping[str, str] = field(default_factory=dict)
    check: t.Optional[t.Mapping[str, t.Any]] = None
    health: t.Optional[Health] = None
    private_port: int = 0
    container_hostname: str = ""
    is_id_chosen: bool = False

    @property
    def endpoint(self) -> str:
        """Return ``address:port``, an IPv6 address in brackets."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}"


class Found(t.NamedTuple):
    """What a registry holds at one of its locations.

    ``fingerprint`` changes with everything that the registry stores of the service. ``owner`` is the Registrator that
    wrote it; empty when it bears no mark, and only then ``id`` and ``endpoint`` are there. ``container`` is empty where
    the registry does not say for which container it was written.
    """

    name: str
    fingerprint: str
    owner: str = ""
    container: str = ""
    id: str = ""
    endpoint: str = ""
