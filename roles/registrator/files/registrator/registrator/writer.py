# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write to the registry, and keep the ledger of what was written."""

from __future__ import annotations

import threading
import typing as t

from .ledger import Ledger
from .log import Log
from .metrics import Metrics
from .registry import Registry, RegistryError, RegistryUnreachable
from .service import Entry, Service

LOCKS = 64


class Writer:
    """Any thread may call any method. What the registry refuses raises RegistryError, after the rest was written."""

    def __init__(self, registry: Registry, hostname: str, log: Log, metrics: Metrics) -> None:
        self.registry, self.hostname, self.log, self.metrics = registry, hostname, log, metrics
        self.ledger = Ledger()
        # Two containers can want one service id, such as an old and a new one of a name: writes to an id never overlap.
        self._locks = [threading.Lock() for _number in range(LOCKS)]

    def register(self, services: t.Iterable[Service]) -> None:
        self._each(services, "register failed", self._register)

    def deregister(self, entries: t.Iterable[Entry]) -> None:
        mine = {entry.service.id: entry for entry in entries}
        self._each([entry.service for entry in mine.values()], "deregister failed", lambda service: self._deregister(mine[service.id]))

    def report(self, services: t.Iterable[Service]) -> None:
        """Write the health of registered services."""
        self._each(services, "health check failed", self._report)

    def maintain(self, services: t.Iterable[Service], reason: str) -> None:
        def maintain(service: Service) -> None:
            self.registry.maintain(service, reason)
            self.log.info(f"maintenance: {service.container[:12]} {service.id} {reason}")

        self._each(services, "maintenance failed", maintain)

    def refresh(self) -> None:
        """Keep every service from expiring."""

        def refresh(service: Service) -> None:
            self.registry.refresh(service)
            self.log.info(f"refreshed: {service.container[:12]} {service.id}")

        self._each(self.ledger.services(), "refresh failed", refresh)

    def renew_health(self) -> None:
        """Tell the registry again what the engine said last, so that no check of ours runs out."""
        self.report([service for service in self.ledger.services() if service.health])

    def _each(self, services: t.Iterable[Service], complaint: str, write: t.Callable[[Service], None]) -> None:
        """Write for each; one that is refused does not keep the others out. Raises the last refusal."""
        refused: t.Optional[RegistryError] = None
        for service in services:
            try:
                with self._locks[hash(service.id) % LOCKS]:
                    write(service)
            except RegistryUnreachable:
                raise
            except RegistryError as error:
                refused = RegistryError(f"{complaint}: {service.id} {error}")
        if refused:
            raise refused

    def _register(self, service: Service) -> None:
        self.registry.register(service)
        self.ledger.write(Entry(service, self.registry.fingerprint(service), self.hostname))
        self.metrics.add("registrations_total")
        self.log.info(f"added: {service.container[:12]} {service.id}")

    def _deregister(self, entry: Entry) -> None:
        service = entry.service
        # Another container, or another host's Registrator, may have been given this id since.
        if self.ledger.holds(service.container, service.id) and entry.host in ("", self.hostname):
            self.registry.deregister(service)
            self.metrics.add("deregistrations_total")
        self.ledger.erase(service.container, service.id)
        self.log.info(f"removed: {service.container[:12]} {service.id}")

    def _report(self, service: Service) -> None:
        try:
            self.registry.report(service)
        except RegistryUnreachable:
            raise
        except RegistryError:
            # The agent may have lost the check alone, which no comparison of services shows.
            self._register(service)
        self.ledger.update(service)
