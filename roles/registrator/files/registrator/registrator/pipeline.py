# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the pipeline together: events and lists fill the queue, workers reconcile, and the registry is looked after.

engine --events, lists--> queue --containers--> reconciler (mapping, differences) --> registry
                            ^                                                            |
                            +------------------ comparison of what is registered <-------+
"""

from __future__ import annotations

import re
import threading
import time
import typing as t

from .engine import KILL, NETWORK_ACTIONS, Engine, EngineError, Event
from .log import Log
from .metrics import Metrics
from .options import Options
from .reconcile import DIED, STARTED, Reconciler
from .registry import Registry, RegistryError, RegistryUnreachable
from .schedule import Job, Schedule
from .service import Entry
from .template import TemplateError
from .watch import Watch
from .workqueue import WorkQueue
from .writer import Writer

WORKERS = 4
COMPARE_S, LIST_S = 2.0, 10.0
HEALTH_RENEWALS = 3
LEAVE_S = 5.0
SYNC_AGAIN_S = 2.0
DANGLING_ID = re.compile(r"(.+?):([a-zA-Z0-9][a-zA-Z0-9_.-]+):[0-9]+(?::udp)?\Z")


class Pipeline:
    """Everything that runs. ``start`` and ``run`` are called once, by one thread."""

    def __init__(self, engine: Engine, registry: Registry, options: Options, hostname: str, log: Log) -> None:
        self.engine, self.registry, self.options, self.hostname, self.log = engine, registry, options, hostname, log
        self.queue, self.metrics = WorkQueue(), Metrics()
        self.writer = Writer(registry, hostname, log, self.metrics)
        self.reconciler = Reconciler(engine, self.writer, options, self.queue, log, self.metrics)
        self.reconciler.bad_template = self._bad_template
        jobs = [
            Job("list", LIST_S, self._list_changes),
            Job("drained", LIST_S if options.on_container_stop != "wait" else 0, self._tried(self._go_on)),
            Job("compare", COMPARE_S, self._look_after),
            Job("resync", options.resync, self.sync),
            Job("refresh", options.ttl_refresh, self._tried(self.writer.refresh)),
            Job("health", options.health_ttl / HEALTH_RENEWALS, self._tried(self.writer.renew_health)),
        ]
        self.watch = Watch(engine, self._heard, self._lost_engine, self._engine_is_back)
        self.schedule = Schedule(jobs, failed=log.exception)
        self._outlines: t.Dict[str, str] = {}
        self._engine_away = self._registry_away = False
        self._complaint = ""
        self._workers = [threading.Thread(target=self.reconciler.work, name=f"worker-{number}", daemon=True) for number in range(WORKERS)]
        self._is_settled = False
        self._fatal: t.Optional[TemplateError] = None

    def start(self) -> None:
        """Watch the engine, and register what runs. Raises EngineError or TemplateError when that cannot begin."""
        self.watch.start()
        self.log.info("Listening for Docker events ...")
        if self._compare() is not None:
            self._tried(self._end_maintenance)()
        self.sync(is_first=True)
        for worker in self._workers:
            worker.start()

    def run(self) -> None:
        """Go on until ``stop``. Raises TemplateError when ``-tags`` fails for what runs at the start."""
        self.schedule.run()
        if self._fatal:
            raise self._fatal

    def stop(self) -> None:
        """End ``run``. May be called from a signal handler."""
        self.watch.stop()
        self.queue.close()
        self.schedule.stop()

    def leave(self) -> None:
        """After ``stop``: do with what is registered as the options say."""
        end = time.monotonic() + LEAVE_S
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, end - time.monotonic()))
        if self.options.on_exit == "deregister":
            for container in self.writer.ledger.containers():
                self.writer.deregister(self.writer.ledger.of(container).values())
        elif self.options.on_exit == "maintenance":
            self.writer.maintain(self.writer.ledger.services(), "Registrator was stopped")

    def health(self) -> t.Mapping[str, t.Any]:
        """Return how things are, for ``/health``."""
        engine, registry = not self._engine_away, not self._registry_away
        return {"healthy": engine and registry, "engine": engine, "registry": registry, "services": len(self.writer.ledger), "queue": len(self.queue)}

    def metrics_text(self) -> str:
        """Return the metrics as Prometheus reads them."""
        health = self.health()
        gauges = {"services": health["services"], "queue": health["queue"], "engine_up": health["engine"], "registry_up": health["registry"]}
        return self.metrics.text(gauges)

    def sync(self, is_first: bool = False) -> None:
        """Look at every container again, at those that run and at those that are registered."""
        try:
            outlines = self.engine.containers()
        except EngineError as error:
            if is_first:
                raise
            self._lost_engine(error)
            self.schedule.soon("resync", SYNC_AGAIN_S)
            return
        self._engine_away = False
        self.log.info(f"Syncing services on {len(outlines)} containers")
        self._outlines = outlines
        # What runs goes first: a new container of an old one's name then takes its id over, instead of losing it.
        self._look_at(outlines)
        self._look_at(set(self.writer.ledger.containers()) - set(outlines))

    def _heard(self, event: Event) -> None:
        """Queue the container that something happened to."""
        self.metrics.add("events_total")
        # The engine answers nothing about a container that it is starting or taking down, and whoever asks has to wait.
        # So what only announces a start or an end is passed over, unless something is to be done about it.
        if event.action in NETWORK_ACTIONS and event.container not in self.writer.ledger:
            return
        if event.action.startswith(KILL) and self.options.on_container_stop == "wait":
            return
        if event.container:
            self.queue.add(event.container, event.action, replace=event.action in (STARTED, DIED))

    def _engine_is_back(self) -> None:
        """Have everything looked at: nobody knows what was missed."""
        self._engine_away = False
        self.log.info("Listening for Docker events again")
        self.schedule.soon("resync")
        self.queue.hurry()

    def _lost_engine(self, error: EngineError) -> None:
        if not self._engine_away:
            self._engine_away = True
            self.log.info(f"{error}; trying again until it answers")

    def _list_changes(self) -> None:
        """Look at the containers that a list tells something new of: a safety net under the events."""
        try:
            outlines = self.engine.containers()
        except EngineError as error:
            self._lost_engine(error)
            return
        self._engine_away = False
        before, self._outlines = self._outlines, outlines
        changed = {container for container, outline in outlines.items() if before.get(container) != outline}
        known = {*before, *self.writer.ledger.containers()}
        self._look_at(changed | (known - set(outlines)))

    def _compare(self) -> t.Optional[t.Mapping[str, Entry]]:
        """Look at the containers whose services the registry does not hold as they were registered; return what it holds."""
        since = time.monotonic()
        try:
            found = self.registry.registered()
        except RegistryUnreachable as error:
            if not self._registry_away:
                self.log.info(f"{error}; trying again until it answers")
            self._registry_away = True
            return None
        except RegistryError as error:
            if str(error) != self._complaint:
                self.log.info(f"comparison failed: {error}")
            self._complaint = str(error)
            return None
        if self._registry_away:
            self._registry_away = False
            self.log.info("The registry answers again")
            self.schedule.soon("health")
            self.queue.hurry()
        if found is not None:
            self._look_at(self.writer.ledger.compare(found, self.hostname, since))
        return found

    def _look_after(self) -> None:
        """Compare, and once nothing is left to do, clean up."""
        found = self._compare()
        if self.queue.is_busy() or self._engine_away:
            return
        self._is_settled = True
        self._look_at(self.writer.ledger.orphans())
        if self.options.cleanup and found:
            self._clean_up(found)

    def _clean_up(self, found: t.Mapping[str, Entry]) -> None:
        """Remove what a Registrator of this host left that marks nothing: the original, or an older one."""
        for service_id, entry in found.items():
            match = DANGLING_ID.match(service_id)
            if entry.host or not match or match[1] != self.hostname:
                continue
            self.log.info(f"dangling: {service_id}")
            try:
                self.registry.deregister(entry.service)
                self.log.info(f"{service_id} removed")
            except RegistryError as error:
                self.log.info(f"deregister failed: {service_id} {error}")

    def _end_maintenance(self) -> None:
        """What an earlier run put into maintenance goes on, unless it is still to be left alone."""
        self.registry.end_maintenance({service.id for service in self.writer.ledger.services()})

    def _go_on(self) -> None:
        """Take back into service what was told to stop and has not."""
        overdue = self.reconciler.draining.overdue()
        if overdue:
            self.registry.end_maintenance({service_id for container in overdue for service_id in self.writer.ledger.of(container)})
            self._look_at(overdue)

    def _tried(self, action: t.Callable[[], None]) -> t.Callable[[], None]:
        """Return an action that logs what the registry refuses: the next time it may not."""

        def attempt() -> None:
            try:
                action()
            except RegistryUnreachable as error:
                self.log.debug(str(error))
            except RegistryError as error:
                self.log.info(str(error))

        return attempt

    def _bad_template(self, error: TemplateError) -> None:
        """A template that fails at once is a mistake in the options; later, only one container's metadata is odd."""
        if not self._is_settled:
            self._fatal = error
            self.stop()

    def _look_at(self, containers: t.Iterable[str]) -> None:
        for container in containers:
            self.queue.add(container)
