# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is written to the registry goes through here, with a ledger of it.

Writes to one location never overlap, and whoever writes looks under its lock whether that is still wanted: between a
decision and its turn, a container may have ended, or another may have been given the location.
"""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
import zlib
from functools import partial

from .claims import obstacle
from .differences import Located, differences
from .ledger import Compared, Entry, Ledger
from .log import Log, Once
from .mark import Owner
from .metrics import Metrics
from .names import is_path
from .registry import Registry, RegistryError, RegistryUnreachable
from .service import Found, Service

LOCKS = 64


class Registrations:
    """Any thread may call any method. What the registry refuses raises RegistryError, after the rest was written.

    ``take_over`` says whether what the original left without a mark may be. Whoever puts things together may have
    ``look_at`` called with containers that can now be given what they waited for, and ``is_running`` asked.
    """

    def __init__(self, registry: Registry, owner: Owner, take_over: bool, log: Log, metrics: Metrics) -> None:
        self._registry, self._owner, self._take_over, self._log, self._metrics = registry, owner, take_over, log, metrics
        self._ledger, self._once = Ledger(owner), Once(log)
        self._held: t.Optional[t.Mapping[str, Found]] = None
        self._maintained: t.Set[str] = set()
        self._locks = [threading.Lock() for _number in range(LOCKS)]
        self.look_at: t.Callable[[t.Iterable[str]], None] = lambda containers: None
        self.is_running: t.Callable[[str], bool] = lambda container: True

    # What is known

    def __len__(self) -> int:
        return len(self._ledger)

    def __contains__(self, container: str) -> bool:
        return container in self._ledger

    def containers(self) -> t.List[str]:
        """Return the containers that something is registered for."""
        return self._ledger.containers()

    def services(self) -> t.Mapping[str, Service]:
        """Return what is registered and should be, by location."""
        return self._ledger.services()

    def has_seen(self, containers: t.Iterable[str]) -> bool:
        """Tell whether it is known of all these containers what should be registered for them."""
        return self._ledger.has_seen(containers)

    # One container

    def expect(self, container: str, services: t.Sequence[Service]) -> None:
        """Note which services a container has, without writing them."""
        self._ledger.want(container, [Located(self._registry.location(service), service) for service in services])

    def converge(self, container: str, services: t.Sequence[Service]) -> None:
        """Have these services registered for a container, and nothing else."""
        wanted = [Located(self._registry.location(service), service) for service in services]
        self._maintained.discard(container)
        self._ledger.want(container, wanted)
        held = self._ledger.of(container)
        todo = differences({location: entry.fingerprint for location, entry in held.items()}, wanted, self._registry.fingerprint)
        written = {location for location, _service in todo.register}
        self._all(
            [partial(self._deregister, container, location) for location in todo.deregister]
            + [partial(self._register, location, service) for location, service in todo.register]
            + [partial(self._report, location) for location, entry in held.items() if location not in written and _is_news(entry)]
        )

    def rewrite(self, container: str) -> None:
        """Write again what is still right of a container and the registry does not hold as it was written."""
        held = self._ledger.of(container).items()
        self._all([partial(self._register, location, entry.service) for location, entry in held if entry.fingerprint != self._fingerprint(entry.service)])

    def remove(self, container: str) -> None:
        """Have nothing registered for a container."""
        self._maintained.discard(container)
        self._ledger.leave(container)
        self._all([partial(self._deregister, container, location) for location in self._ledger.of(container)])
        if not self.is_running(container):
            self._ledger.forget(container)
            self._once.forget(container)

    def maintain(self, container: str, reason: str) -> None:
        """Put all that is registered for a container into maintenance."""

        def maintain(service: Service) -> None:
            self._registry.maintain(service, reason)
            self._log.info(f"maintenance: {service.container[:12]} {service.id} {reason}")

        self._maintained.add(container)
        self._all([partial(self._if_wanted, location, maintain, "maintenance failed") for location in self._ledger.of(container)])

    def end_maintenance(self, container: str) -> None:
        """End the maintenance of all that is registered for a container."""
        self._registry.end_maintenance(set(self._ledger.of(container)))

    # All of them

    def end_all_maintenance(self) -> None:
        """What an earlier run of ours put into maintenance goes on."""
        self._registry.end_maintenance({location for container in self._ledger.containers() for location in self._ledger.of(container)})

    def compare(self) -> t.Tuple[Compared, t.Mapping[str, Found]]:
        """Compare the ledger with what the registry holds, and return that, too."""
        since = time.monotonic()
        held = self._registry.registered()
        # No request can name such an id, so nobody can remove it. Older releases let containers write some.
        strange = [location for location, found in held.items() if self._owner.owns(found.owner) and not is_path(location.lstrip("/"))]
        for location in strange:
            self._once.info("", f"warning: {location!r} bears our mark, and no request can name it: it stays until the registry forgets it")
        if strange:
            held = {location: found for location, found in held.items() if location not in strange}
        self._held = held
        return self._ledger.compare(held, since), held

    def may_be_lost(self) -> bool:
        """Tell, at no cost, whether the registry may have lost what it held since ``compare`` was called last, by the same thread."""
        return self._registry.may_have_restarted()

    def left_over(self) -> t.Dict[str, Found]:
        """Return what an earlier run of ours registered, and no container wants."""
        left = self._ledger.unclaimed()
        for location, found in left.items():
            if found.owner != self._owner.text:
                # Under the host's name alone: another host of that name may have written it.
                self._once.info("", f"warning: {location!r} bears the mark of {found.owner} without an owner, and no container of this host: left alone")
        return {location: found for location, found in left.items() if found.owner == self._owner.text}

    def remove_left_over(self, location: str, found: Found) -> bool:
        """Remove what is registered for nobody; tell whether it was there to be removed."""
        with self._lock(location):
            if self._ledger.is_wanted(location):
                return False
            self._registry.deregister(location, found.name)
            self._ledger.erase("", location)
            self._metrics.deregistrations.inc()
            return True

    def refresh(self, location: str) -> None:
        """Keep a service from expiring."""

        def refresh(service: Service) -> None:
            self._registry.refresh(service)
            self._metrics.renewals.inc()
            self._log.info(f"refreshed: {service.container[:12]} {service.id}")

        self._if_wanted(location, refresh, "refresh failed")

    def renew_health(self, location: str) -> None:
        """Tell the registry again what the engine said last of a service, so that its check does not run out."""
        self._report(location, is_news=False)

    def set_ttl(self, seconds: int) -> None:
        """Let what is registered live this long without being renewed."""
        self._registry.set_ttl(seconds)

    # One location

    def _all(self, writes: t.Iterable[t.Callable[[], None]]) -> None:
        """Write all: what is refused does not keep the others out. Raises the last refusal."""
        refused: t.Optional[RegistryError] = None
        for write in writes:
            try:
                write()
            except RegistryUnreachable:
                raise
            except RegistryError as error:
                refused = error
        if refused:
            raise refused

    def _register(self, location: str, service: Service) -> None:
        with self._lock(location), _explained("register failed", service.id):
            if self._ledger.wants(service.container, location):
                self._write(location, service)

    def _write(self, location: str, service: Service) -> None:
        """Register a service, unless the location is somebody else's. The caller holds its lock."""
        reason = self._obstacle(location, service)
        if reason:
            self._ledger.wait(service.container, location)
            self._once.info(service.container, f"warning: {service.container[:12]} {service.id} {reason}: left alone, and this container waits for it")
            return
        was_there = self._ledger.holder(location) is not None or location in (self._held or ())
        left_out = self._registry.register(service)
        self._ledger.write(location, service, self._fingerprint(service))
        self._metrics.registrations.inc()
        self._log.info(f"added: {service.container[:12]} {service.id}")
        if left_out:
            self._once.info(service.container, f"warning: {service.container[:12]} {service.id} {left_out}")
        if was_there and service.health:
            # Consul gives a check that is registered again the state that it had, be that run out or another container's.
            self._registry.report(service)

    def _obstacle(self, location: str, service: Service) -> str:
        holder = self._ledger.holder(location)
        if holder is not None and (holder.container == service.container or not self.is_running(holder.container)):
            return ""
        is_chosen, found = service.is_id_chosen and self._registry.ids_are_locations, None
        if holder is None and self._registry.knows_owners:
            # What only a Registrator of this host's name could have written is believed as it was compared last.
            found = self._registry.find(location) if is_chosen or self._held is None else self._held.get(location)
        return obstacle(service, is_chosen, holder, found, self._owner, self._take_over)

    def _deregister(self, container: str, location: str) -> None:
        with self._lock(location):
            entry = self._ledger.of(container).get(location)
            holder = self._ledger.holder(location)
            if entry is None:
                return
            # Another container may have been given this location since.
            if holder is not None and holder.container == container:
                with _explained("deregister failed", entry.service.id):
                    self._registry.deregister(location, entry.service.name)
                self._metrics.deregistrations.inc()
            self._ledger.erase(container, location)
            self._log.info(f"removed: {container[:12]} {entry.service.id}")
        self.look_at(self._ledger.waiting(location))

    def _report(self, location: str, is_news: bool = True) -> None:
        def report(service: Service) -> None:
            try:
                self._registry.report(service)
            except RegistryUnreachable:
                raise
            except RegistryError:
                # The agent may have lost the check alone, which no comparison of services shows. But what is written is in service.
                if service.container in self._maintained:
                    return
                self._write(location, service)
            self._ledger.tell(location, service.health.status if service.health else "")
            if not is_news:
                self._metrics.renewals.inc()

        self._if_wanted(location, report, "health check failed")

    def _if_wanted(self, location: str, write: t.Callable[[Service], None], complaint: str) -> None:
        """Write with the service that is registered at a location now, if one is that should be."""
        with self._lock(location):
            service = self._ledger.holder(location)
            if service is not None and self._ledger.wants(service.container, location):
                with _explained(complaint, service.id):
                    write(service)

    def _fingerprint(self, service: Service) -> str:
        return self._registry.fingerprint(service)

    def _lock(self, location: str) -> threading.Lock:
        return self._locks[zlib.crc32(location.encode()) % LOCKS]


def _is_news(entry: Entry) -> bool:
    """Tell whether the registry has not been told yet how the service is."""
    return entry.service.health is not None and entry.told != entry.service.health.status


@contextlib.contextmanager
def _explained(complaint: str, service_id: str) -> t.Iterator[None]:
    """Say in a refusal what was refused."""
    try:
        yield
    except RegistryUnreachable:
        raise
    except RegistryError as error:
        raise RegistryError(f"{complaint}: {service_id} {error}") from None
