# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the registration of one container to what it should be, again and again, whatever has happened meanwhile.

With few exceptions, nothing here depends on which event came: the container is inspected, what should be registered is
worked out, and only the difference is written. So events may be lost, doubled or out of order, and the end is right all
the same.
"""

from __future__ import annotations

import time
import typing as t

from . import host as this_host
from .address import Inspected, network_owner
from .differences import differences
from .draining import Draining, asks_to_stop
from .engine import Engine, EngineError
from .log import Log
from .mapping import Host, Mapped, services_of
from .metrics import Metrics
from .options import Options
from .registry import RegistryError, RegistryUnreachable
from .service import Entry
from .template import TemplateError
from .workqueue import Work, WorkQueue
from .writer import Writer

DIED, STARTED = "die", "start"
LINES_PER_CONTAINER = 100


class Reconciler:
    """Takes containers from the queue. ``work`` may run in any number of threads."""

    def __init__(self, engine: Engine, writer: Writer, options: Options, queue: WorkQueue, log: Log, metrics: Metrics) -> None:
        self.engine, self.writer, self.options, self.queue, self.log, self.metrics = engine, writer, options, queue, log, metrics
        self.draining = Draining()
        self.bad_template: t.Callable[[TemplateError], None] = lambda error: None
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
                self._count(work)
                self.queue.done(work.key)

    def converge(self, container: str, news: str = "") -> None:
        """Make the registry hold what it should of one container. Raises EngineError, RegistryError or TemplateError."""
        registered = self.writer.ledger.of(container)
        if news in (DIED, STARTED):
            self.draining.end(container)
        # The engine answers nothing about a container while it takes its network down. Its death alone says enough.
        inspected = None if news == DIED and self.options.deregister == "always" else self.engine.inspect(container)
        if inspected is None or not _is_running(inspected):
            if inspected is None or not self._is_kept(inspected):
                self._said.pop(container, None)
                self.writer.deregister(registered.values())
        elif not self._is_drained(container, inspected, news, registered):
            self._update(container, inspected)

    def _update(self, container: str, inspected: Inspected) -> None:
        """Write the differences for a container that runs."""
        mapped = self._map(inspected)
        self._explain(container, mapped)
        self.writer.ledger.claim(container, [service.id for service in mapped.services])
        registered = self.writer.ledger.of(container)
        todo = differences(registered, mapped.services, self.writer.registry.fingerprint)
        self.writer.deregister([registered[service.id] for service in todo.deregister])
        self.writer.register(todo.register)
        self.writer.report([service for service in mapped.services if service.health and service not in todo.register and _has_changed(service, registered)])

    def _map(self, inspected: Inspected) -> Mapped:
        owner = network_owner(inspected)
        # Asked each time: an address may change while the program runs, and asking costs microseconds.
        host = Host(self.writer.hostname, this_host.address(self.options.address_from))
        return services_of(inspected, self.options, host, self.engine.inspect(owner) if owner else None)

    def _is_drained(self, container: str, inspected: Inspected, news: str, registered: t.Mapping[str, Entry]) -> bool:
        """Take a container out of service that was just told to stop; tell whether one is to be left alone."""
        if self.options.on_container_stop == "wait":
            return False
        config = inspected.get("Config") or {}
        if asks_to_stop(news, config) and not self.draining.is_on(container):
            self.draining.begin(container, config)
            if self.options.on_container_stop == "deregister":
                self.writer.deregister(registered.values())
            else:
                self.writer.maintain([entry.service for entry in registered.values()], "the container is stopping")
        return self.draining.is_on(container)

    def _is_kept(self, inspected: Inspected) -> bool:
        """Tell whether the services of an ended container stay, because only a success removes them."""
        code = int((inspected.get("State") or {}).get("ExitCode") or 0)
        # From 128 on it was ended by a signal, as by `docker stop`: that is no failure.
        return self.options.deregister == "on-success" and code != 0 and not code & 128

    def _failed(self, container: str, error: Exception) -> None:
        """Say what went wrong, as far as nobody else does."""
        self.metrics.add("failures_total")
        if isinstance(error, this_host.AddressError):
            self._say_once(container, str(error))
        elif isinstance(error, (EngineError, RegistryUnreachable)):
            # One line a change of state, from whoever watches the engine and the registry, not one a container.
            self.log.debug(f"later: {container[:12]} {error}")
        elif isinstance(error, RegistryError):
            self._say_once(container, str(error))
        elif isinstance(error, TemplateError):
            self._say_once(container, f"-tags: {container[:12]} {error}")
            self.bad_template(error)
        else:
            self.log.exception(f"failed: {container[:12]}", error)

    def _count(self, work: Work) -> None:
        if work.news in (STARTED, DIED):
            self.metrics.add("latency_seconds_sum", time.monotonic() - work.since)
            self.metrics.add("latency_seconds_count")

    def _explain(self, container: str, mapped: Mapped) -> None:
        for reason in mapped.ignored:
            self._say_once(container, f"ignored: {container[:12]} {reason}")
        for warning in mapped.warnings:
            self._say_once(container, f"warning: {container[:12]} {warning}")

    def _say_once(self, container: str, line: str) -> None:
        """Log a line about a container once for as long as it runs, however often it is looked at."""
        said = self._said.setdefault(container, set())
        if line not in said and len(said) < LINES_PER_CONTAINER:
            said.add(line)
            self.log.info(line)


def _is_running(inspected: Inspected) -> bool:
    """A container that waits to be restarted counts as running for the engine; nobody could reach it."""
    state = inspected.get("State") or {}
    return bool(state.get("Running")) and not state.get("Restarting")


def _has_changed(service: t.Any, registered: t.Mapping[str, Entry]) -> bool:
    before = registered[service.id].service.health if service.id in registered else None
    return before is None or before.status != service.health.status
