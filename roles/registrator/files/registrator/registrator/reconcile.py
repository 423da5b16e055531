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
from dataclasses import replace

from .address import Inspected, network_owner
from .draining import Draining, asks_to_stop
from .engine import Engine, EngineError
from .host_address import AddressError
from .log import Log, Once
from .mapping import Here, Mapped, services_of
from .metrics import Metrics
from .news import DIED, NOTHING, REWRITE, STARTED, SUPERSEDING, News, is_death
from .options import NO_TAGS, Options
from .registrations import Registrations
from .registry import RegistryError, RegistryUnreachable
from .template import TemplateError
from .workqueue import Work, WorkQueue


class Reconciler:
    """Takes containers from the queue. ``work`` may run in any number of threads. ``here`` is asked for each container."""

    def __init__(
        self, engine: Engine, registrations: Registrations, options: Options, here: t.Callable[[], Here], queue: WorkQueue, log: Log, metrics: Metrics
    ) -> None:
        self._engine, self._registrations, self._options, self._here = engine, registrations, options, here
        self._queue, self._log, self._metrics = queue, log, metrics
        self._once = Once(log)
        self.draining = Draining()
        self.template_error: t.Optional[TemplateError] = None
        self.has_mapped = False

    def work(self) -> None:
        """Work on one container after the other, until the queue is closed."""
        while True:
            work = self._queue.get()
            if work is None:
                return
            try:
                self.converge(work.key, work.news)
            except Exception as error:
                self._failed(work.key, error)
                self._queue.failed(work)
            else:
                self._count(work)
                self._queue.done(work)

    def converge(self, container: str, news: News = NOTHING) -> None:
        """Make the registry hold what it should of one container. Raises EngineError, RegistryError or TemplateError."""
        if news & SUPERSEDING:
            self.draining.end(container)
        if news == {REWRITE}:
            if container not in self.draining:
                self._registrations.rewrite(container)
            return
        # The engine answers nothing about a container while it takes its network down. Its death alone says enough.
        inspected = None if is_death(news) and self._options.deregister == "always" else self._engine.inspect(container)
        if inspected is None or not _is_running(inspected):
            if inspected is None or not self._is_kept(inspected):
                self._once.forget(container)
                self._registrations.remove(container)
            return
        self._note_stop(container, inspected, news)
        if container not in self.draining:
            self._update(container, inspected)
        elif self.draining.goes_on(container):
            self._registrations.end_maintenance(container)
            self._update(container, inspected)
            self.draining.end(container)
        elif self.draining.has_to_go_out(container):
            self._take_out(container)

    def _update(self, container: str, inspected: Inspected) -> None:
        """Write the differences for a container that runs."""
        mapped = self._map(inspected)
        for reason in mapped.ignored:
            self._once.info(container, f"ignored: {container[:12]} {reason}")
        for warning in mapped.warnings:
            self._once.info(container, f"warning: {container[:12]} {warning}")
        self._registrations.converge(container, mapped.services)

    def _map(self, inspected: Inspected) -> Mapped:
        other = network_owner(inspected)
        owner, here = self._engine.inspect(other) if other else None, self._here()
        try:
            mapped = services_of(inspected, self._options, here, owner)
        except TemplateError:
            # Its services may be there from an earlier run: nobody else's they are.
            self._registrations.expect(str(inspected["Id"]), services_of(inspected, replace(self._options, tags=NO_TAGS), here, owner).services)
            raise
        self.has_mapped = self.has_mapped or bool(mapped.services)
        return mapped

    def _note_stop(self, container: str, inspected: Inspected, news: News) -> None:
        """See whether a container was just told to stop."""
        config = inspected.get("Config") or {}
        if self._options.on_container_stop != "wait" and asks_to_stop(news, config):
            self.draining.begin(container, config)

    def _take_out(self, container: str) -> None:
        """Take a container out of service that was told to stop."""
        if self._options.on_container_stop == "deregister":
            self._registrations.remove(container)
        else:
            self._registrations.maintain(container, "the container is stopping")
        self.draining.is_out(container)

    def _is_kept(self, inspected: Inspected) -> bool:
        """Tell whether the services of an ended container stay, because only a success removes them."""
        code = int((inspected.get("State") or {}).get("ExitCode") or 0)
        # From 128 on it was ended by a signal, as by `docker stop`: that is no failure.
        return self._options.deregister == "on-success" and code != 0 and not code & 128

    def _failed(self, container: str, error: Exception) -> None:
        """Say what went wrong, as far as nobody else does."""
        self._metrics.failures.inc()
        if isinstance(error, (EngineError, RegistryUnreachable)):
            # One line a change of state, from whoever watches the engine and the registry, not one a container.
            self._log.debug(f"later: {container[:12]} {error}")
        elif isinstance(error, (RegistryError, AddressError)):
            self._once.info(container, str(error))
        elif isinstance(error, TemplateError):
            self._once.info(container, f"-tags: {container[:12]} {error}")
            self.template_error = error
        else:
            self._log.exception(f"failed: {container[:12]}", error)

    def _count(self, work: Work) -> None:
        if work.news & {STARTED, DIED}:
            self._metrics.latency.observe(time.monotonic() - work.since)


def _is_running(inspected: Inspected) -> bool:
    """A container that waits to be restarted counts as running for the engine; nobody could reach it."""
    state = inspected.get("State") or {}
    return bool(state.get("Running")) and not state.get("Restarting")
