# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where services are written: a small interface, and one file for each registry that has it.

To add a registry, add a file with a class that has the methods of ``Registry``, or a function that returns one, made
from a ``Context``, and name it in ``ADAPTERS``.
"""

from __future__ import annotations

import abc
import importlib
import typing as t
from urllib.parse import SplitResult, urlsplit

from ..options import Options
from ..service import Entry, Service

ADAPTERS = {
    "consul": "consul.Consul",
    "consul-unix": "consul.Consul",
    "consul-tls": "consul.Consul",
    "consulkv": "consulkv.adapter",
    "consulkv-unix": "consulkv.adapter",
    "etcd": "etcd.adapter",
    "skydns2": "skydns2.adapter",
    "zookeeper": "zookeeper.ZooKeeper",
}


class RegistryError(Exception):
    """The registry refuses a request. The message says what and why, in one line."""


class RegistryUnreachable(RegistryError):
    """The registry cannot be reached, or has no leader: nothing is wrong with the request."""


class BadAddress(Exception):
    """The registry's URI is not understood. The message is one line for the user."""


class Context(t.NamedTuple):
    """What an adapter is made from."""

    uri: SplitResult
    options: Options
    host: str
    environment: t.Mapping[str, str]


class Registry(abc.ABC):
    """Any thread may call any method. Except for ``fingerprint`` they talk to the registry and raise RegistryError.

    What not every registry can do does nothing unless it is overridden.
    """

    @abc.abstractmethod
    def ping(self) -> str:
        """Return one line for the log, or an empty string, when the registry answers."""

    @abc.abstractmethod
    def register(self, service: Service) -> None:
        """Write a service, in place of what has its id."""

    @abc.abstractmethod
    def deregister(self, service: Service) -> None:
        """Remove a service. That it is not there is no error."""

    @abc.abstractmethod
    def fingerprint(self, service: Service) -> str:
        """Return the fingerprint that ``registered`` gives this service once it is written."""

    def registered(self) -> t.Optional[t.Mapping[str, Entry]]:
        """Return all that the registry holds, anybody's, by service id; None where it cannot be listed."""
        return None

    def refresh(self, service: Service) -> None:  # noqa: B027 - optional
        """Keep a service with a time to live from expiring."""

    def report(self, service: Service) -> None:  # noqa: B027 - optional
        """Write what the engine says of a registered service's health, and renew it."""

    def maintain(self, service: Service, reason: str) -> None:  # noqa: B027 - optional
        """Put a registered service into maintenance, so that nobody is sent to it."""

    def end_maintenance(self, service_ids: t.Container[str]) -> None:  # noqa: B027 - optional
        """End the maintenance of those of these services that ``maintain`` put into it, in this run or an earlier one."""


def connect(options: Options, host: str, environment: t.Mapping[str, str]) -> Registry:
    """Return the registry that the URI names, without talking to it. ``host`` goes into the mark of what is written."""
    try:
        uri = urlsplit(options.registry)
        uri.port  # noqa: B018 - raises ValueError when it is no number
    except ValueError:
        raise BadAddress(f"bad adapter uri: {options.registry}") from None
    if uri.scheme not in ADAPTERS:
        raise BadAddress(f"unrecognized adapter: {options.registry}")
    module, _dot, name = ADAPTERS[uri.scheme].partition(".")
    adapter = getattr(importlib.import_module(f".{module}", __name__), name)
    return t.cast(Registry, adapter(Context(uri, options, host, environment)))
