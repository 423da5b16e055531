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

from ..service import Entry, Service
from . import BadAddress, Context, Registry, RegistryUnreachable
from .keyvalue import address_and_port

SESSION_S = 10.0
DEFAULT_ADDRESS = "127.0.0.1:2181"


class ZooKeeper(Registry):
    """See ``Registry`` for what the methods promise."""

    def __init__(self, context: Context) -> None:
        self._base = "/" + context.uri.path.strip("/")
        if self._base == "/":
            raise BadAddress(f"bad adapter uri: {context.options.registry}: a path is missing, under which the nodes are made")
        self._host = context.host
        self._address = context.uri.netloc.rpartition("@")[2] or DEFAULT_ADDRESS
        silent = logging.Logger("kazoo", logging.CRITICAL)
        self._client = KazooClient(hosts=self._address, timeout=SESSION_S, logger=silent)
        self._lock = threading.Lock()

    def ping(self) -> str:
        with _errors_translated(self._address):
            self._connected().ensure_path(self._base)
        return ""

    def register(self, service: Service) -> None:
        with _errors_translated(self._address):
            client, path = self._connected(), self._path(service)
            with contextlib.suppress(NoNodeError):
                client.delete(path)
            client.create(path, _value(service), ephemeral=True, makepath=True)

    def deregister(self, service: Service) -> None:
        with _errors_translated(self._address):
            client, path = self._connected(), self._path(service)
            with contextlib.suppress(NoNodeError, NotEmptyError):
                client.delete(path)
                client.delete(path.rpartition("/")[0])

    def registered(self) -> t.Mapping[str, Entry]:
        with _errors_translated(self._address):
            return dict(self._entries(self._connected()))

    def fingerprint(self, service: Service) -> str:
        return f"{self._path(service)}={_value(service).decode()}"

    def _entries(self, client: KazooClient) -> t.Iterator[t.Tuple[str, Entry]]:
        session = client.client_id[0] if client.client_id else 0
        for name in client.get_children(self._base):
            for node in client.get_children(f"{self._base}/{name}"):
                path = f"{self._base}/{name}/{node}"
                try:
                    value, status = client.get(path)
                    told = json.loads(value)
                    service = Service(told["ID"], told["Name"], told["IP"], told["PublicPort"], told["Container"])
                except (NoNodeError, ValueError, LookupError, TypeError):
                    continue  # gone meanwhile, or not written by us
                # A node of another session is not ours, even if an earlier run of ours made it: it will disappear.
                is_ours = status.ephemeralOwner == session
                yield service.id, Entry(service, f"{path}={value.decode('utf-8', 'replace')}" if is_ours else "", self._host if is_ours else "")

    def _connected(self) -> KazooClient:
        with self._lock:
            if not self._client.connected:
                self._client.start(timeout=SESSION_S)
            return self._client

    def _path(self, service: Service) -> str:
        return f"{self._base}/{service.name.replace('/', '_')}/{address_and_port(service)}"


def _value(service: Service) -> bytes:
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
    }
    return json.dumps(told, sort_keys=True).encode()


class _errors_translated:
    """Turn what kazoo raises into RegistryUnreachable: it has no errors that a repetition may not cure."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: t.Any, error: t.Optional[BaseException], trace: t.Any) -> None:
        if isinstance(error, (KazooException, KazooTimeoutError, OSError)):
            raise RegistryUnreachable(f"ZooKeeper at {self._address}: {error or type(error).__name__}") from error
