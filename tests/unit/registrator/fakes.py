# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine and a registry in memory, with the same methods as the real ones, and a program of both."""

from __future__ import annotations

import typing as t

from registrator import mark
from registrator.ledger import Compared
from registrator.mapping import Here
from registrator.mark import Owner
from registrator.metrics import Metrics
from registrator.news import LOOK, REWRITE
from registrator.options import Options
from registrator.reconcile import Reconciler
from registrator.registrations import Registrations
from registrator.registry import Registry, RegistryError
from registrator.service import Found, Service
from registrator.workqueue import WorkQueue

OURS = Owner("host1", "host1")


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
    """Holds services by id, notes writes, and fails with what ``refuses`` gives for a service id, or ``away`` for all."""

    def __init__(self, owner: str = OURS.text) -> None:
        self.owner = owner
        self.held: t.Dict[str, Found] = {}
        self.services: t.Dict[str, Service] = {}
        self.writes: t.List[str] = []
        self.refuses: t.Dict[str, RegistryError] = {}
        self.away: t.Optional[RegistryError] = None
        self.ttl = 60

    def ping(self) -> str:
        return ""

    def location(self, service: Service) -> str:
        return service.id

    def register(self, service: Service) -> str:
        self._write("+", service.id)
        self.services[service.id] = service
        self.held[service.id] = Found(service.name, self.fingerprint(service), self.owner, service.container)
        return ""

    def deregister(self, location: str, name: str) -> None:
        self._write("-", location)
        self.held.pop(location, None)

    def report(self, service: Service) -> None:
        assert service.health
        self._write(service.health.status + " ", service.id)

    def maintain(self, service: Service, reason: str) -> None:
        self._write("maintenance ", service.id)

    def end_maintenance(self, locations: t.Container[str]) -> None:
        for location in self.held:
            if location in locations:
                self._write("in service ", location)

    def refresh(self, service: Service) -> None:
        self._write("=", service.id)

    def set_ttl(self, seconds: int) -> None:
        self.ttl = seconds

    def registered(self) -> t.Mapping[str, Found]:
        if self.away:
            raise self.away or RegistryError("away")
        return dict(self.held)

    def fingerprint(self, service: Service) -> str:
        kept = [service.name, service.address, service.port, service.tags, service.check, service.container, service.health and self.ttl]
        return mark.digest([self.owner, kept])

    def _write(self, sign: str, location: str) -> None:
        if self.away or location in self.refuses:
            raise self.away or self.refuses[location]
        self.writes.append(sign + location)


class Lines(t.List[str]):
    """A log that keeps its lines."""

    def info(self, message: str) -> None:
        self.append(message)

    def debug(self, message: str) -> None:
        """Nobody asked for it."""

    def exception(self, message: str, error: BaseException) -> None:
        self.append(f"{message}: {error!r}")


class Setup:
    """A Registrator that works when it is told to, on an engine and a registry in memory."""

    def __init__(
        self,
        *containers: t.Dict[str, t.Any],
        options: Options = Options(ip="10.0.0.1"),  # noqa: B008 - it is frozen
        registry: t.Any = None,
        owner: Owner = OURS,
    ) -> None:
        self.engine, self.registry, self.log = FakeEngine(*containers), registry or FakeRegistry(owner.text), Lines()
        metrics = Metrics()
        self.registrations = Registrations(self.registry, owner, options.cleanup, self.log, metrics)  # type: ignore[arg-type]
        self.registrations.is_running = lambda container: container in self.engine.all
        self.looked_at: t.Set[str] = set()
        self.registrations.look_at = self.looked_at.update
        here = Here("host1", "10.0.0.1")
        engine: t.Any = self.engine
        self.reconciler = Reconciler(engine, self.registrations, options, lambda: here, WorkQueue(), self.log, metrics)  # type: ignore[arg-type]

    def look(self, *keys: str, news: str = LOOK) -> None:
        for key in keys:
            self.reconciler.converge(key, frozenset({news}))

    def compare(self) -> Compared:
        return self.registrations.compare()[0]

    def repair(self) -> None:
        """Do what a comparison asks for."""
        compared = self.compare()
        self.look(*sorted(compared.damaged - compared.unknown), news=REWRITE)
        self.look(*sorted(compared.unknown))
