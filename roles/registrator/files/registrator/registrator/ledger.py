# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the registry is believed to hold of ours, by container, and which container each service id belongs to."""

from __future__ import annotations

import threading
import time
import typing as t
from dataclasses import replace

from .service import Entry, Service


class Ledger:
    """Every method may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: t.Dict[str, t.Dict[str, Entry]] = {}
        self._holder: t.Dict[str, str] = {}
        self._written: t.Dict[str, float] = {}
        self._unclaimed: t.Dict[str, Entry] = {}

    def of(self, container: str) -> t.Dict[str, Entry]:
        """Return a container's entries by service id."""
        with self._lock:
            return dict(self._entries.get(container, {}))

    def claim(self, container: str, service_ids: t.Iterable[str]) -> None:
        """Give a container what an earlier run of ours registered under its services' ids, whoever it was for."""
        with self._lock:
            for service_id in service_ids:
                entry = self._unclaimed.pop(service_id, None)
                if entry and service_id not in self._holder:
                    self._file(Entry(replace(entry.service, container=container), entry.fingerprint, entry.host))

    def orphans(self) -> t.List[str]:
        """Give what nobody has claimed to containers that do not exist, and return those."""
        with self._lock:
            orphans = []
            for service_id, entry in self._unclaimed.items():
                orphans.append(f"gone:{service_id}")
                self._file(Entry(replace(entry.service, container=orphans[-1]), entry.fingerprint, entry.host))
            self._unclaimed = {}
            return orphans

    def containers(self) -> t.List[str]:
        with self._lock:
            return list(self._entries)

    def services(self) -> t.List[Service]:
        with self._lock:
            return [entry.service for entries in self._entries.values() for entry in entries.values()]

    def __len__(self) -> int:
        """Return how many services are held."""
        with self._lock:
            return sum(map(len, self._entries.values()))

    def __contains__(self, container: str) -> bool:
        with self._lock:
            return container in self._entries

    def holds(self, container: str, service_id: str) -> bool:
        """Tell whether the container was the last to be given this service id."""
        with self._lock:
            return self._holder.get(service_id) == container

    def write(self, entry: Entry) -> None:
        """Note what was just registered, or what the registry was found to hold."""
        with self._lock:
            self._file(entry)
            self._unclaimed.pop(entry.service.id, None)
            self._written[entry.service.id] = time.monotonic()

    def update(self, service: Service) -> None:
        """Note what is said of a service now, without anything that its fingerprint depends on having changed."""
        with self._lock:
            entries = self._entries.get(service.container, {})
            if service.id in entries:
                entries[service.id] = Entry(service, entries[service.id].fingerprint, entries[service.id].host)

    def erase(self, container: str, service_id: str) -> None:
        """Note that the registry holds this no more."""
        with self._lock:
            self._drop(container, service_id)
            self._written[service_id] = time.monotonic()

    def compare(self, found: t.Mapping[str, Entry], host: str, since: float) -> t.Set[str]:
        """Correct the ledger by what a registry was found to hold, and return the containers to look at again.

        ``host`` is our own mark. What was written after ``since`` (monotonic seconds, when the registry was asked) is
        left alone: the answer is older than it. What another host's Registrator has taken over is left to it.
        """
        with self._lock:
            written = {service_id for service_id, moment in self._written.items() if moment >= since}
            self._written = {service_id: self._written[service_id] for service_id in written}
            again: t.Set[str] = set()
            for container, entries in list(self._entries.items()):
                for service_id, entry in list(entries.items()):
                    if service_id in written or self._holder.get(service_id, container) != container:
                        continue
                    there = found.get(service_id)
                    if there is None:
                        self._drop(container, service_id)
                        again.add(container)
                    elif there.host not in ("", host):
                        entries[service_id] = Entry(entry.service, entry.fingerprint, there.host)
                    elif there.fingerprint != entry.fingerprint:
                        entries[service_id] = Entry(entry.service, there.fingerprint, there.host)
                        again.add(container)
            return again | self._adopt(found, host, written)

    def _adopt(self, found: t.Mapping[str, Entry], host: str, written: t.Set[str]) -> t.Set[str]:
        """Take over what bears our mark and is not in the ledger: an earlier run of ours wrote it.

        Where the registry does not say for which container, it waits until one claims it.
        """
        adopted: t.Set[str] = set()
        self._unclaimed = {}
        for service_id, there in found.items():
            if there.host != host or service_id in self._holder or service_id in written:
                continue
            if there.service.container:
                self._file(there)
                adopted.add(there.service.container)
            else:
                self._unclaimed[service_id] = there
        return adopted

    def _drop(self, container: str, service_id: str) -> None:
        entries = self._entries.get(container, {})
        entries.pop(service_id, None)
        if not entries:
            self._entries.pop(container, None)
        if self._holder.get(service_id) == container:
            del self._holder[service_id]

    def _file(self, entry: Entry) -> None:
        self._entries.setdefault(entry.service.container, {})[entry.service.id] = entry
        self._holder[entry.service.id] = entry.service.container
