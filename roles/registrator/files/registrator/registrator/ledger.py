# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each container should have in the registry, and what the registry is believed to hold of it.

Locations are the registry's own (see ``Registry``). At each there is at most one container of ours, its *holder*.
"""

from __future__ import annotations

import threading
import time
import typing as t
from dataclasses import dataclass, field

from .differences import Located
from .mark import Owner
from .service import Found, Service

MISSING = ""
"""The fingerprint of what the registry does not hold."""


@dataclass(slots=True)
class Entry:
    """A service that a container holds a location for, what the registry has there, and what health it was told."""

    service: Service
    fingerprint: str
    told: str = ""


@dataclass(slots=True)
class _Record:
    """One container. ``wanted`` is None until somebody has looked at it, and empty once it is on its way out."""

    entries: t.Dict[str, Entry] = field(default_factory=dict)
    wanted: t.Optional[t.FrozenSet[str]] = None


class Compared(t.NamedTuple):
    """Containers whose services a registry does not hold as they were written, and containers to look at."""

    damaged: t.Set[str]
    unknown: t.Set[str]


class Ledger:
    """Every method may be called by any thread."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._records: t.Dict[str, _Record] = {}
        self._holder: t.Dict[str, str] = {}
        self._written: t.Dict[str, float] = {}
        self._unclaimed: t.Dict[str, Found] = {}
        self._waiting: t.Dict[str, t.Set[str]] = {}
        self._services: t.Optional[t.Dict[str, Service]] = None

    def of(self, container: str) -> t.Dict[str, Entry]:
        """Return a container's entries by location."""
        with self._lock:
            record = self._records.get(container)
            return dict(record.entries) if record else {}

    def want(self, container: str, services: t.Sequence[Located]) -> None:
        """Note what a container should have registered, and give it what an earlier run of ours left at these locations."""
        with self._lock:
            record = self._records.setdefault(container, _Record())
            record.wanted = frozenset(location for location, _service in services)
            self._services = None
            for location, service in services:
                left = self._unclaimed.pop(location, None)
                if left and location not in self._holder:
                    self._file(container, location, Entry(service, self._fingerprint(left)))
                elif location in record.entries:
                    record.entries[location].service = service
            self._stop_waiting(container, keep=record.wanted)

    def leave(self, container: str) -> None:
        """Note that a container is to have nothing any more."""
        with self._lock:
            self._records.setdefault(container, _Record()).wanted = frozenset()
            self._services = None
            self._stop_waiting(container)

    def forget(self, container: str) -> None:
        """Note that there is no such container any more. What it still holds stays known."""
        with self._lock:
            record = self._records.get(container)
            if record and not record.entries:
                del self._records[container]

    def wants(self, container: str, location: str) -> bool:
        """Tell whether this is still to be registered for this container."""
        with self._lock:
            record = self._records.get(container)
            return bool(record and record.wanted and location in record.wanted)

    def is_wanted(self, location: str) -> bool:
        """Tell whether a container holds this location, or waits to be given it."""
        with self._lock:
            return location in self._holder or any(record.wanted and location in record.wanted for record in self._records.values())

    def holder(self, location: str) -> t.Optional[Service]:
        """Return the service that was registered here last."""
        with self._lock:
            container = self._holder.get(location)
            return self._records[container].entries[location].service if container else None

    def wait(self, container: str, location: str) -> None:
        """Note that a container gets this location as soon as somebody else has left it."""
        with self._lock:
            self._waiting.setdefault(location, set()).add(container)

    def waiting(self, location: str) -> t.Set[str]:
        with self._lock:
            return set(self._waiting.get(location, ()))

    def containers(self) -> t.List[str]:
        """Return the containers that hold anything."""
        with self._lock:
            return [container for container, record in self._records.items() if record.entries]

    def services(self) -> t.Mapping[str, Service]:
        """Return what is registered and should be, by location."""
        with self._lock:
            # A keeper asks every second: with thousands of services, which change seldom, going through them would be most of all work.
            if self._services is None:
                self._services = {
                    location: entry.service
                    for record in self._records.values()
                    for location, entry in record.entries.items()
                    if record.wanted is not None and location in record.wanted
                }
            return self._services

    def __len__(self) -> int:
        """Return how many locations are held."""
        with self._lock:
            return len(self._holder)

    def __contains__(self, container: str) -> bool:
        """Tell whether a container holds anything."""
        with self._lock:
            return container in self._records and bool(self._records[container].entries)

    def has_seen(self, containers: t.Iterable[str]) -> bool:
        """Tell whether it is known of all these containers what they should have."""
        with self._lock:
            return all(container in self._records and self._records[container].wanted is not None for container in containers)

    def write(self, location: str, service: Service, fingerprint: str) -> None:
        """Note what was just registered."""
        with self._lock:
            earlier = self._holder.get(location)
            if earlier not in (None, service.container):
                self._drop(t.cast(str, earlier), location)
            self._file(service.container, location, Entry(service, fingerprint, service.health.status if service.health else ""))
            self._unclaimed.pop(location, None)
            self._written[location] = time.monotonic()

    def erase(self, container: str, location: str) -> None:
        """Note that the registry holds this no more."""
        with self._lock:
            self._drop(container, location)
            self._unclaimed.pop(location, None)
            self._written[location] = time.monotonic()

    def tell(self, location: str, status: str) -> None:
        """Note what the registry was told of a service's health."""
        with self._lock:
            if location in self._holder:
                self._records[self._holder[location]].entries[location].told = status

    def unclaimed(self) -> t.Dict[str, Found]:
        """Return what bears our mark, for which container nobody knows, and none wants it."""
        with self._lock:
            return dict(self._unclaimed)

    def compare(self, held: t.Mapping[str, Found], since: float) -> Compared:
        """Correct the ledger by all that a registry holds.

        What was written after ``since`` (monotonic seconds, when the registry was asked) is left alone: the answer is
        older than it. What another Registrator has taken over is left to it.
        """
        with self._lock:
            written = {location: moment for location, moment in self._written.items() if moment >= since}
            self._written = written
            damaged: t.Set[str] = set()
            for location, container in list(self._holder.items()):
                if location in written:
                    continue
                found, entry = held.get(location), self._records[container].entries[location]
                if found and found.owner and not self._owner.owns(found.owner):
                    self._drop(container, location)
                    self._waiting.setdefault(location, set()).add(container)
                    continue
                fingerprint = self._fingerprint(found)
                if fingerprint != entry.fingerprint:
                    entry.fingerprint = fingerprint
                    damaged.add(container)
            unknown = self._adopted(held, written)
            for location, containers in self._waiting.items():
                if location not in self._holder and (location not in held or self._owner.owns(held[location].owner)):
                    unknown |= containers
            return Compared(damaged, unknown)

    def _adopted(self, held: t.Mapping[str, Found], written: t.Mapping[str, float]) -> t.Set[str]:
        """Take over what bears our mark and is not in the ledger: an earlier run of ours wrote it.

        Where the registry does not say for which container, it waits until one claims it.
        """
        adopted: t.Set[str] = set()
        self._unclaimed = {}
        for location, found in held.items():
            if not self._owner.owns(found.owner) or location in self._holder or location in written:
                continue
            if found.container:
                service = Service(location, found.name, "", 0, found.container)
                self._file(found.container, location, Entry(service, self._fingerprint(found)))
                adopted.add(found.container)
            else:
                self._unclaimed[location] = found
        return adopted

    def _fingerprint(self, found: t.Optional[Found]) -> str:
        # What bears our old mark is as good as missing: it is written again, once, with the new one.
        return found.fingerprint if found and found.owner in ("", self._owner.text) else MISSING

    def _stop_waiting(self, container: str, keep: t.Container[str] = ()) -> None:
        for location in [location for location, containers in self._waiting.items() if container in containers and location not in keep]:
            self._waiting[location].discard(container)
            if not self._waiting[location]:
                del self._waiting[location]

    def _drop(self, container: str, location: str) -> None:
        self._services = None
        if container in self._records:
            self._records[container].entries.pop(location, None)
        if self._holder.get(location) == container:
            del self._holder[location]

    def _file(self, container: str, location: str, entry: Entry) -> None:
        self._services = None
        self._records.setdefault(container, _Record()).entries[location] = entry
        self._holder[location] = container
