# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the parts together.

engine state --containers--> queue --> reconciler (mapping, differences) --> registrations --> registry
                               ^                                                 |  |  |
registry state ----------------+<---------------- comparison --------------------+  |  |
keepers <------------------------------------------ what runs out ------------------+  |
cleaner <-------------------------------------- what is nobody's ----------------------+
"""

from __future__ import annotations

import threading
import time
import typing as t

from . import host_address
from .cleaner import Cleaner
from .engine import Engine
from .engine_state import EngineState
from .keeper import Keeper
from .log import Log
from .mapping import Here
from .mark import Owner
from .metrics import Metrics
from .news import LOOK, REWRITE
from .options import Options
from .reconcile import Reconciler
from .registrations import Registrations
from .registry import Registry, RegistryError
from .registry_state import RegistryState
from .schedule import Job, Schedule
from .template import TemplateError
from .workqueue import WorkQueue

# An agent goes through all of its services after each change, unless more changes have come meanwhile: what many ask for at
# once costs it less than what one asks for after the other. More than these would leave no room in the proxy.
WORKERS = 16
COMPARE_S, LIST_S, ADDRESS_S = 2.0, 10.0, 5.0
HEALTH_RENEWALS = 3
LEAVE_S = 5.0


class Pipeline:
    """Everything that runs. ``start``, ``stop`` and ``leave`` are called once, by one thread. ``ended`` is called when it cannot go on."""

    def __init__(self, engine: Engine, registry: Registry, options: Options, hostname: str, log: Log) -> None:
        self._options, self._hostname, self._log = options, hostname, log
        self.metrics, self._queue = Metrics(), WorkQueue()
        owner = Owner(options.owner or hostname, hostname)
        self._registrations = Registrations(registry, owner, options.cleanup, log, self.metrics)
        self._engine_state = EngineState(engine, self._registrations, self._queue, options.on_container_stop != "wait", log, self.metrics)
        self._registry_state = RegistryState(self._registrations, self._queue, lambda: self._engine_state.is_up, log)
        self._reconciler = Reconciler(engine, self._registrations, options, self._here, self._queue, log, self.metrics)
        self._cleaner = Cleaner(self._registrations, self._engine_state.running, hostname, options.cleanup, log)
        self._keepers = list(self._make_keepers())
        # Neither of the two waits for what the other asks for.
        self._schedules = [
            Schedule(
                [
                    Job("list", LIST_S, self._engine_state.list_changes),
                    Job("resync", options.resync, self._engine_state.sync),
                    Job("address", ADDRESS_S, self._look_at_address),
                    Job("drained", COMPARE_S if options.on_container_stop != "wait" else 0, self._look_at_drained),
                ],
                failed=log.exception,
            ),
            Schedule([Job("compare", COMPARE_S, self._look_after), Job("connection", COMPARE_S, self._look_at_connection)], failed=log.exception),
        ]
        self._registrations.look_at, self._registrations.is_running = self._look_at, self._engine_state.is_running
        self._engine_state.sync_soon = lambda delay: self._schedules[0].soon("resync", delay)
        self._registry_state.returned = self._hurry_keepers
        self._address = ""
        self._is_settled = False
        self.fatal: t.Optional[TemplateError] = None
        self.ended: t.Callable[[], None] = lambda: None
        self._workers = [threading.Thread(target=self._reconciler.work, name=f"worker-{number}", daemon=True) for number in range(WORKERS)]
        self._add_gauges()

    def start(self) -> None:
        """Begin to watch the engine, and to register what runs. Raises EngineError when that cannot begin."""
        # What runs goes first: a new container of an old one's name then takes its id over, instead of losing it. But nothing
        # is looked at before it is known what an earlier run left.
        self._engine_state.start()
        self._registry_state.compare()
        threads = [threading.Thread(target=schedule.run, name=f"schedule-{number}", daemon=True) for number, schedule in enumerate(self._schedules)]
        for thread in [*self._workers, *threads]:
            thread.start()
        for keeper in self._keepers:
            keeper.start()

    def stop(self) -> None:
        """End what ``start`` began."""
        self._engine_state.stop()
        self._queue.close()
        for schedule in self._schedules:
            schedule.stop()
        for keeper in self._keepers:
            keeper.stop()

    def leave(self) -> None:
        """After ``stop``: do with what is registered as the options say."""
        end = time.monotonic() + LEAVE_S
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, end - time.monotonic()))
        for container in self._registrations.containers() if self._options.on_exit != "keep" else ():
            try:
                if self._options.on_exit == "deregister":
                    self._registrations.remove(container)
                else:
                    self._registrations.maintain(container, "Registrator was stopped")
            except RegistryError as error:
                self._log.info(str(error))

    def health(self) -> t.Mapping[str, t.Any]:
        """Return how things are, for ``/health``."""
        engine, registry = self._engine_state.is_up, self._registry_state.is_up
        return {"healthy": engine and registry, "engine": engine, "registry": registry, "services": len(self._registrations), "queue": len(self._queue)}

    def metrics_text(self) -> bytes:
        """Return the metrics as Prometheus reads them."""
        return self.metrics.text()

    def _make_keepers(self) -> t.Iterator[Keeper]:
        options, registrations = self._options, self._registrations

        def with_health() -> t.List[str]:
            return [location for location, service in registrations.services().items() if service.health]

        period = options.health_ttl / HEALTH_RENEWALS
        yield Keeper("health checks", options.health_ttl, period, with_health, registrations.renew_health, self._set_ttl, self._log)
        if options.ttl_refresh:
            yield Keeper("services", options.ttl, options.ttl_refresh, registrations.services, registrations.refresh, self._set_ttl, self._log)

    def _add_gauges(self) -> None:
        self.metrics.gauge("registrator_services", "Services that are registered.", lambda: len(self._registrations))
        self.metrics.gauge("registrator_queue", "Containers that wait to be looked at.", lambda: len(self._queue))
        self.metrics.gauge("registrator_engine_up", "1 while the engine answers and its events are read.", lambda: self._engine_state.is_up)
        self.metrics.gauge("registrator_registry_up", "1 while the registry answers.", lambda: self._registry_state.is_up)

    def _here(self) -> Here:
        # Asked each time: an address may change while the program runs, and asking costs microseconds.
        return Here(self._hostname, host_address.address(self._options.address_from))

    def _look_at_address(self) -> None:
        """Look at all containers when the host's address is another one."""
        try:
            address = self._here().address
        except host_address.AddressError as error:
            if str(error) != self._address:
                self._log.info(str(error))
            self._address = str(error)
            return
        if self._address not in ("", address):
            self._log.info(f"The host's address is {address} now")
            self._engine_state.sync()
        self._address = address

    def _look_at_connection(self) -> None:
        """Compare at once with an agent that was restarted: where there is much to compare, that is done seldom."""
        if self._registrations.may_be_lost():
            self._schedules[1].soon("compare")

    def _look_at_drained(self) -> None:
        self._look_at(self._reconciler.draining.overdue())

    def _look_after(self) -> None:
        """Compare, and clean up."""
        held = self._registry_state.compare()
        if held is None or not self._engine_state.is_up:
            return
        self._cleaner.clean(held)
        if not self._is_settled and not self._queue.is_busy():
            self._is_settled = True
            self._judge_template()

    def _judge_template(self) -> None:
        """A template that fails for all that runs at the start is a mistake in the options, not in one container's metadata."""
        if self._reconciler.template_error and not self._reconciler.has_mapped:
            self.fatal = self._reconciler.template_error
            self.ended()

    def _set_ttl(self, seconds: int) -> None:
        """Have everything written again with another time to live."""
        self._registrations.set_ttl(seconds)
        for container in self._registrations.containers():
            self._queue.add(container, REWRITE)

    def _hurry_keepers(self) -> None:
        for keeper in self._keepers:
            keeper.hurry()

    def _look_at(self, containers: t.Iterable[str]) -> None:
        for container in containers:
            self._queue.add(container, LOOK)
