# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services as ephemeral nodes of ZooKeeper: ``<base>/<name>/<address>:<port>`` holds a JSON object.

A node lives as long as the session that made it, so what is gone disappears by itself, and what a node of another
session says is replaced by one of ours.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import typing as t

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError, NotEmptyError
from kazoo.handlers.threading import KazooTimeoutError

from ..service import Found, Service
from . import BadAddress, Context, Registry, RegistryUnreachable, shown

SESSION_S = 10.0
DEFAULT_ADDRESS = "127.0.0.1:2181"


class ZooKeeper(Registry):
    """See ``Registry`` for what the methods promise. A location is a node's path below the base."""

    ids_are_locations = False

    def __init__(self, context: Context) -> None:
        self._base = "/" + context.uri.path.strip("/")
        if self._base == "/":
            raise BadAddress(f"bad adapter uri: {shown(context.options.registry)}: a path is missing, under which the nodes are made")
        self._owner = context.owner.text
        self._address = context.uri.netloc.rpartition("@")[2] or DEFAULT_ADDRESS
        silent = logging.Logger("kazoo", logging.CRITICAL)
        self._client = KazooClient(hosts=self._address, timeout=SESSION_S, logger=silent)
        self._lock = threading.Lock()

    def ping(self) -> str:
        with _errors_translated(self._address):
            self._connected().ensure_path(self._base)
        return ""

    def location(self, service: Service) -> str:
        return f"{service.name.replace('/', '_')}/{service.endpoint}"

    def register(self, service: Service) -> str:
        with _errors_translated(self._address):
            client, path = self._connected(), f"{self._base}/{self.location(service)}"
            with contextlib.suppress(NoNodeError):
                client.delete(path)
            client.create(path, self._value(service), ephemeral=True, makepath=True)
        return ""

    def deregister(self, location: str, name: str) -> None:
        with _errors_translated(self._address):
            client, path = self._connected(), f"{self._base}/{location}"
            with contextlib.suppress(NoNodeError, NotEmptyError):
                client.delete(path)
                client.delete(path.rpartition("/")[0])

    def registered(self) -> t.Mapping[str, Found]:
        with _errors_translated(self._address):
            client = self._connected()
            locations = [f"{name}/{node}" for name in _children(client, self._base) for node in _children(client, f"{self._base}/{name}")]
            found = {location: self._found(client, location) for location in locations}
        return {location: one for location, one in found.items() if one}

    def find(self, location: str) -> t.Optional[Found]:
        with _errors_translated(self._address):
            return self._found(self._connected(), location)

    def fingerprint(self, service: Service) -> str:
        return self._value(service).decode()

    def _found(self, client: KazooClient, location: str) -> t.Optional[Found]:
        try:
            value, status = client.get(f"{self._base}/{location}")
        except NoNodeError:
            return None
        try:
            told = json.loads(value)
            name, owner, container = str(told["Name"]), str(told.get("Registrator") or ""), str(told.get("Container") or "")
        except (ValueError, LookupError, TypeError, AttributeError):
            return Found(location, "")
        session = client.client_id[0] if client.client_id else 0
        # A node of another session will disappear, even if an earlier run of ours made it: it is to be written anew.
        return Found(name, value.decode("utf-8", "replace") if status.ephemeralOwner == session else "", owner, container if owner else "")

    def _connected(self) -> KazooClient:
        with self._lock:
            if not self._client.connected:
                self._client.start(timeout=SESSION_S)
            return self._client

    def _value(self, service: Service) -> bytes:
        told = {
            "Name": service.name,
            "IP": service.address,
            "PublicPort": service.port,
            "PrivatePort": service.private_port,
            "ContainerID": service.container_hostname,
            "Tags": list(service.tags),
            "Attrs": dict(service.meta),
            "ID": service.id,
            "Container": service.container,
            "Registrator": self._owner,
        }
        return json.dumps(told, sort_keys=True).encode()


def _children(client: KazooClient, path: str) -> t.List[str]:
    try:
        return t.cast("t.List[str]", client.get_children(path))
    except NoNodeError:
        return []  # it went meanwhile


class _errors_translated:
    """Turn what kazoo raises into RegistryUnreachable: it has no errors that a repetition may not cure."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: t.Any, error: t.Optional[BaseException], trace: t.Any) -> None:
        if isinstance(error, (KazooException, KazooTimeoutError, OSError)):
            raise RegistryUnreachable(f"ZooKeeper at {self._address}: {error or type(error).__name__}") from error
