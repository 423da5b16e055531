# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is registered: one port of one container."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Health:
    """What the engine says of a container's health: ``passing``, ``warning`` or ``critical``, and why."""

    status: str
    output: str = ""


@dataclass(frozen=True)
class Service:
    """One registration.

    ``address`` may be empty: the registry then uses the address of its own node. ``check`` is the health check in the
    words of Consul's agent API, without an identifier. ``health`` is there when the engine's own opinion is to be
    carried into the registry too. ``container`` is the engine's full identifier.
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


@dataclass(frozen=True)
class Entry:
    """A service as a registry holds it.

    ``fingerprint`` changes with everything that the registry stores of the service; ``host`` is the host name of the
    Registrator that wrote it, or empty when it bears no Registrator's mark.
    """

    service: Service
    fingerprint: str
    host: str = ""
