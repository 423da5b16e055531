# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the registration of one container to what it should be, again and again, whatever has happened meanwhile.

With one exception, for speed, nothing here depends on which event came: the container is inspected, what should be registered is worked out, and only
the difference is written. So events may be lost, doubled or out of order, and the end is right all the same.
"""

from __future__ import annotations

import threading
import typing as t

from . import host as this_host
from .address import Inspected, network_owner
from .differences import differences
from .engine import Engine, EngineError
from .ledger import Ledger
from .log import Log
from .mapping import Host, Mapped, services_of
from .options import Options
from .registry import Registry, RegistryError, RegistryUnreachable
from .service import Entry, Service
from .template import TemplateError
from .workqueue import WorkQueue

LOCKS = 64
DIED = "die"


class Reconciler:
    """Takes containers from the queue. ``work`` may run in any number of threads."""

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        options: Options,
        hostname: str,
        queue: WorkQueue,
        log: Log,
        bad_template: t.Callable[[TemplateError], None] = lambda error: None,
    ) -> None:
        self.engine, self.registry, self.options, self.queue, self.log = engine, registry, options, queue, log
        self.hostname, self.bad_template = hostname, bad_template
        self.ledger = Ledger()
        # Two containers can want one service id, such as an old and a new one of a name: writes to an id never overlap.
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._said: t.Dict[str, t.Set[str]] = {}

    def work(self) -> None:
        """Work on one container after the other, until the queue is closed."""
        while True:
            work = self.queue.get()
            if work is None:
                return
            try:
                self.converge(work.key, work.news)
            except Exception as error:
                self._failed(work.key, error)
                self.queue.failed(work.key)
            else:
                self.queue.done(work.key)

    def converge(self, container: str, news: str = "") -> None:
        """Make the registry hold what it should of one container. Raises EngineError, RegistryError or TemplateError."""
        registered = self.ledger.of(container)
        # The engine answers nothing about a container while it takes its network down. Its death alone says enough.
        inspected = None if news == DIED and self.options.deregister == "always" else self.engine.inspect(container)
        if inspected is None or not _is_running(inspected):
            if inspected is None or not self._is_kept(inspected):
                self._said.pop(container, None)
                self._deregister(container, registered.values())
            return
        mapped = self._map(inspected)
        self._explain(container, mapped)
        todo = differences(registered, mapped.services, self.registry.fingerprint)
        self._deregister(container, [registered[service.id] for service in todo.deregister])
        self._register(todo.register)

    def refresh(self) -> None:
        """Keep every service from expiring."""
        for container in self.ledger.containers():
            for service_id, entry in self.ledger.of(container).items():
                try:
                    self.registry.refresh(entry.service)
                except RegistryUnreachable:
                    raise
                except RegistryError as error:
                    self.log.info(f"refresh failed: {service_id} {error}")
                else:
                    self.log.info(f"refreshed: {container[:12]} {service_id}")

    def _failed(self, container: str, error: Exception) -> None:
        """Say what went wrong, as far as nobody else does."""
        if isinstance(error, (EngineError, RegistryUnreachable)):
            # One line a change of state, from whoever watches the engine and the registry, not one a container.
            self.log.debug(f"later: {container[:12]} {error}")
        elif isinstance(error, RegistryError):
            self._say_once(container, str(error))
        elif isinstance(error, TemplateError):
            self._say_once(container, f"-tags: {container[:12]} {error}")
            self.bad_template(error)
        else:
            self.log.exception(f"failed: {container[:12]}", error)

    def _map(self, inspected: Inspected) -> Mapped:
        owner = network_owner(inspected)
        # Asked each time: an address may change while the program runs, and asking costs microseconds.
        host = Host(self.hostname, this_host.default_address())
        return services_of(inspected, self.options, host, self.engine.inspect(owner) if owner else None)

    def _register(self, services: t.Iterable[Service]) -> None:
        """Register each; one that is refused does not keep the others out. Raises the last refusal."""
        refused: t.Optional[RegistryError] = None
        for service in services:
            try:
                with self._lock(service.id):
                    self.registry.register(service)
                    self.ledger.write(Entry(service, self.registry.fingerprint(service), self.hostname))
                self.log.info(f"added: {service.container[:12]} {service.id}")
            except RegistryUnreachable:
                raise
            except RegistryError as error:
                refused = RegistryError(f"register failed: {service.container[:12]} {service.id} {error}")
        if refused:
            raise refused

    def _deregister(self, container: str, entries: t.Iterable[Entry]) -> None:
        for entry in entries:
            service_id = entry.service.id
            try:
                with self._lock(service_id):
                    # Another container, or another host's Registrator, may have been given this id since.
                    if self.ledger.holds(container, service_id) and entry.host in ("", self.hostname):
                        self.registry.deregister(entry.service)
                    self.ledger.erase(container, service_id)
            except RegistryUnreachable:
                raise
            except RegistryError as error:
                raise RegistryError(f"deregister failed: {service_id} {error}") from None
            self.log.info(f"removed: {container[:12]} {service_id}")

    def _lock(self, service_id: str) -> threading.Lock:
        return self._locks[hash(service_id) % LOCKS]

    def _is_kept(self, inspected: Inspected) -> bool:
        """Tell whether the services of an ended container stay, because only a success removes them."""
        code = int((inspected.get("State") or {}).get("ExitCode") or 0)
        # From 128 on it was ended by a signal, as by `docker stop`: that is no failure.
        return self.options.deregister == "on-success" and code != 0 and not code & 128

    def _explain(self, container: str, mapped: Mapped) -> None:
        for reason in mapped.ignored:
            self._say_once(container, f"ignored: {container[:12]} {reason}")
        for warning in mapped.warnings:
            self._say_once(container, f"warning: {container[:12]} {warning}")

    def _say_once(self, container: str, line: str) -> None:
        """Log a line about a container once for as long as it runs, however often it is looked at."""
        said = self._said.setdefault(container, set())
        if line not in said and len(said) < 100:
            said.add(line)
            self.log.info(line)


def _is_running(inspected: Inspected) -> bool:
    """A container that waits to be restarted counts as running for the engine; nobody could reach it."""
    state = inspected.get("State") or {}
    return bool(state.get("Running")) and not state.get("Restarting")
