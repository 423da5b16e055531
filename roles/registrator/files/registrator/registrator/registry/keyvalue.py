# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What registries have in common that hold one key and one value for a service: ``<prefix>/<name>/<id>``."""

from __future__ import annotations

import abc
import typing as t

from ..service import Found, Service
from . import Registry


class Stored(t.NamedTuple):
    """What a store holds at a key: the value, the owner as far as it can be told, and its time to live."""

    value: str
    owner: str = ""
    ttl: int = 0


class Store(abc.ABC):
    """A store of keys. Any thread may call any method; all raise RegistryError."""

    knows_owners = True

    @abc.abstractmethod
    def ping(self) -> str:
        """Return one line for the log, or an empty string, when the store answers."""

    @abc.abstractmethod
    def put(self, key: str, value: str) -> None: ...

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Remove a key. That it is not there is no error."""

    @abc.abstractmethod
    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        """Return everything whose key begins with the prefix."""

    def renew(self, key: str, value: str) -> None:  # noqa: B027 - optional
        """Keep a key from expiring."""

    def set_ttl(self, seconds: int) -> None:  # noqa: B027 - optional
        """Let keys live this long without being renewed, from their next write on."""


class KeyValue(Registry):
    """See ``Registry`` for what the methods promise. A location is a key."""

    def __init__(self, store: Store, prefix: str, value_of: t.Callable[[Service], str], ttl: int = 0) -> None:
        self._store, self._prefix, self._value_of, self._ttl = store, prefix, value_of, ttl

    @property
    def knows_owners(self) -> bool:  # type: ignore[override]
        return self._store.knows_owners

    def ping(self) -> str:
        return self._store.ping()

    def location(self, service: Service) -> str:
        return f"{self._prefix}/{service.name}/{service.id}"

    def register(self, service: Service) -> str:
        self._store.put(self.location(service), self._value_of(service))
        return ""

    def deregister(self, location: str, name: str) -> None:
        self._store.delete(location)

    def refresh(self, service: Service) -> None:
        self._store.renew(self.location(service), self._value_of(service))

    def set_ttl(self, seconds: int) -> None:
        if self._ttl:
            self._ttl = seconds
            self._store.set_ttl(seconds)

    def registered(self) -> t.Mapping[str, Found]:
        return {key: self._found(key, stored) for key, stored in self._store.under(f"{self._prefix}/").items()}

    def find(self, location: str) -> t.Optional[Found]:
        stored = self._store.under(location).get(location)
        return None if stored is None else self._found(location, stored)

    def fingerprint(self, service: Service) -> str:
        return f"{self._value_of(service)} {self._ttl}"

    def _found(self, key: str, stored: Stored) -> Found:
        # Nothing tells where a name with slashes ends, but an id that a Registrator gave by itself has none.
        name, _slash, service_id = key[len(self._prefix) + 1 :].rpartition("/")
        unmarked = {} if stored.owner else {"id": service_id, "endpoint": stored.value}
        return Found(name, f"{stored.value} {stored.ttl}", stored.owner, **unmarked)


def address_and_port(service: Service) -> str:
    """Return the value that most stores hold."""
    return service.endpoint
