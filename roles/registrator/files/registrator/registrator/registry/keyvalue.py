# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries have in common that hold one key and one value for a service: ``<prefix>/<name>/<id>``."""

from __future__ import annotations

import abc
import typing as t

from ..service import Entry, Service
from . import Registry


class Stored(t.NamedTuple):
    """What a store holds at a key: the value, whether a Registrator of this host wrote it, and its time to live."""

    value: str
    is_ours: bool
    ttl: int = 0


class Store(abc.ABC):
    """A store of keys. Any thread may call any method; all raise RegistryError."""

    @abc.abstractmethod
    def ping(self) -> str:
        """Return one line for the log, or an empty string, when the store answers."""

    @abc.abstractmethod
    def put(self, key: str, value: str) -> None: ...

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Remove a key. That it is not there is no error."""

    @abc.abstractmethod
    def under(self, prefix: str) -> t.Optional[t.Mapping[str, Stored]]:
        """Return everything whose key begins with the prefix; None when the store does not tell."""

    def renew(self, key: str, value: str) -> None:  # noqa: B027 - optional
        """Keep a key from expiring."""


class KeyValue(Registry):
    """See ``Registry`` for what the methods promise."""

    def __init__(self, store: Store, prefix: str, host: str, value_of: t.Callable[[Service], str], ttl: int = 0) -> None:
        self._store, self._prefix, self._host, self._value_of, self._ttl = store, prefix, host, value_of, ttl
        self._ids: t.Dict[str, str] = {}

    def ping(self) -> str:
        return self._store.ping()

    def register(self, service: Service) -> None:
        key = self._key(service)
        # A name may hold slashes, so a key alone does not always tell which id it ends with.
        self._ids[key] = service.id
        self._store.put(key, self._value_of(service))

    def deregister(self, service: Service) -> None:
        self._store.delete(self._key(service))
        self._ids.pop(self._key(service), None)

    def refresh(self, service: Service) -> None:
        self._store.renew(self._key(service), self._value_of(service))

    def registered(self) -> t.Optional[t.Mapping[str, Entry]]:
        found = self._store.under(f"{self._prefix}/")
        if found is None:
            return None
        entries = {}
        for key, stored in found.items():
            rest = key[len(self._prefix) + 1 :]
            service_id = self._ids.get(key) or rest.partition("/")[2]
            name = rest[: -len(service_id) - 1] if service_id else rest
            service = Service(service_id, name, "", 0, "")
            entries[service_id] = Entry(service, f"{key}={stored.value} {stored.ttl}", self._host if stored.is_ours else "")
        return entries

    def fingerprint(self, service: Service) -> str:
        return f"{self._key(service)}={self._value_of(service)} {self._ttl}"

    def _key(self, service: Service) -> str:
        return f"{self._prefix}/{service.name}/{service.id}"


def address_and_port(service: Service) -> str:
    """Return ``address:port``, an IPv6 address in brackets."""
    address = f"[{service.address}]" if ":" in service.address else service.address
    return f"{address}:{service.port}"
