# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where services are written: a small interface, and one file for each registry that has it.

To add a registry, add a file with a class that has the methods of ``Registry``, or a function that returns one, made
from a ``Context``, and name it in ``ADAPTERS``.
"""

from __future__ import annotations

import abc
import importlib
import re
import typing as t
from urllib.parse import SplitResult, urlsplit

from ..mark import Owner
from ..options import Options
from ..service import Found, Service

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
    owner: Owner
    environment: t.Mapping[str, str]


class Registry(abc.ABC):
    """Any thread may call any method. Except for ``location`` and ``fingerprint`` they talk to the registry and raise RegistryError.

    A location is where the registry keeps a service: what else is written there takes its place. What not every registry
    can do does nothing unless it is overridden. ``knows_owners`` says whether it tells who wrote what it holds, and
    ``ids_are_locations`` whether a container that chooses its service's id thereby chooses the location.
    """

    knows_owners = True
    ids_are_locations = True

    @abc.abstractmethod
    def ping(self) -> str:
        """Return one line for the log, or an empty string, when the registry answers."""

    @abc.abstractmethod
    def location(self, service: Service) -> str:
        """Return where this service is kept."""

    @abc.abstractmethod
    def register(self, service: Service) -> str:
        """Write a service, in place of what is at its location. Return what of it the registry does not take, if anything."""

    @abc.abstractmethod
    def deregister(self, location: str, name: str) -> None:
        """Remove the service of this name. That it is not there is no error."""

    @abc.abstractmethod
    def fingerprint(self, service: Service) -> str:
        """Return the fingerprint that ``registered`` gives this service once it is written."""

    @abc.abstractmethod
    def registered(self) -> t.Mapping[str, Found]:
        """Return all that the registry holds, anybody's, by location."""

    def find(self, location: str) -> t.Optional[Found]:
        """Return what the registry holds at a location."""
        return self.registered().get(location)

    def may_have_restarted(self) -> bool:
        """Tell, at no cost, whether it may have lost what it held since ``registered`` was called last, by the same thread."""
        return False

    def refresh(self, service: Service) -> None:  # noqa: B027 - optional
        """Keep a service with a time to live from expiring."""

    def report(self, service: Service) -> None:  # noqa: B027 - optional
        """Write what the engine says of a registered service's health, and renew it."""

    def set_ttl(self, seconds: int) -> None:  # noqa: B027 - optional
        """Let what is written from now on live this long without being renewed."""

    def maintain(self, service: Service, reason: str) -> None:  # noqa: B027 - optional
        """Put a registered service into maintenance, so that nobody is sent to it."""

    def end_maintenance(self, locations: t.Container[str]) -> None:  # noqa: B027 - optional
        """End the maintenance of what is at these locations that ``maintain`` began, in this run or an earlier one."""


def connect(options: Options, owner: Owner, environment: t.Mapping[str, str]) -> Registry:
    """Return the registry that the URI names, without talking to it. ``owner`` goes into the mark of what is written."""
    try:
        uri = urlsplit(options.registry)
        uri.port  # noqa: B018 - raises ValueError when it is no number
    except ValueError:
        raise BadAddress(f"bad adapter uri: {shown(options.registry)}") from None
    if uri.scheme not in ADAPTERS:
        raise BadAddress(f"unrecognized adapter: {shown(options.registry)}")
    module, _dot, name = ADAPTERS[uri.scheme].partition(".")
    adapter = getattr(importlib.import_module(f".{module}", __name__), name)
    return t.cast(Registry, adapter(Context(uri, options, owner, environment)))


def shown(uri: str) -> str:
    """Return a URI as it may be logged: without what could be a password, whatever else is wrong with it."""
    return re.sub(r"//.*@", "//", uri, flags=re.S)
