# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine and a registry in memory, with the same methods as the real ones."""

from __future__ import annotations

import typing as t

from registrator import mark
from registrator.registry import Registry, RegistryError
from registrator.service import Entry, Service


class FakeEngine:
    """Holds inspected containers by identifier."""

    def __init__(self, *containers: t.Dict[str, t.Any]) -> None:
        self.all = {container["Id"]: container for container in containers}
        self.inspected: t.List[str] = []

    def inspect(self, key: str) -> t.Optional[t.Dict[str, t.Any]]:
        self.inspected.append(key)
        named = (container for container in self.all.values() if container["Name"] == "/" + key)
        return self.all.get(key) or next(named, None)


class FakeRegistry(Registry):
    """Holds entries by service id, counts writes, and fails with what ``refuses`` gives for a service id."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.held: t.Dict[str, Entry] = {}
        self.writes: t.List[str] = []
        self.refuses: t.Dict[str, RegistryError] = {}

    def register(self, service: Service) -> None:
        self._write("+", service)
        self.held[service.id] = Entry(service, self.fingerprint(service), self.host)

    def deregister(self, service: Service) -> None:
        self._write("-", service)
        self.held.pop(service.id, None)

    def ping(self) -> str:
        return ""

    def report(self, service: Service) -> None:
        assert service.health
        self._write(service.health.status + " ", service)

    def maintain(self, service: Service, reason: str) -> None:
        self._write("maintenance ", service)

    def refresh(self, service: Service) -> None:
        self._write("=", service)

    def registered(self) -> t.Mapping[str, Entry]:
        return dict(self.held)

    def fingerprint(self, service: Service) -> str:
        return mark.digest([service.name, service.address, service.port, service.tags, service.check, service.container, bool(service.health)])

    def _write(self, sign: str, service: Service) -> None:
        if service.id in self.refuses:
            raise self.refuses[service.id]
        self.writes.append(sign + service.id)


class Lines(t.List[str]):
    """A log that keeps its lines."""

    def info(self, message: str) -> None:
        self.append(message)

    def debug(self, message: str) -> None:
        """Nobody asked for it."""

    def exception(self, message: str, error: BaseException) -> None:
        self.append(f"{message}: {error!r}")
