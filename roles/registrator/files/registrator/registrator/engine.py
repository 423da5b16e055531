# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the Docker engine: which containers run, what one container is, and what happens to them.

Only GET requests are made, on containers, events and version, so a filtering socket proxy can stand in between.
"""

from __future__ import annotations

import os
import threading
import time
import typing as t

from docker import errors as docker_errors
from docker.api.client import APIClient
from docker.tls import TLSConfig

DEFAULT_HOST = "unix:///tmp/docker.sock"
TIMEOUT_S = 30
# A little of the past is asked for again, since an engine answers a moment before it begins to watch.
OVERLAP_S = 2
KILL = "kill:"
NETWORK_ACTIONS = ("connect", "disconnect")
EVENTS = {
    "type": ["container", "network"],
    "event": ["start", "die", "pause", "unpause", "health_status", "destroy", "rename", "update", "kill", *NETWORK_ACTIONS],
}


class EngineError(Exception):
    """The engine cannot be reached or does not answer as it should."""


class Event(t.NamedTuple):
    """Something happened to a container: its full identifier, and what (``kill:15`` for a signal)."""

    container: str
    action: str


class Engine:
    """One engine. Every method may be called by any thread and raises EngineError."""

    def __init__(self, environment: t.Mapping[str, str]) -> None:
        self.url = environment.get("DOCKER_HOST") or DEFAULT_HOST
        self._tls = _tls(environment)
        self._local = threading.local()
        self._version = "auto"

    def containers(self) -> t.Dict[str, str]:
        """Return what a list tells of each container that runs or is paused, by identifier."""
        with _errors_translated():
            found = self._client().containers()
        return {container["Id"]: _outline(container) for container in found}

    def inspect(self, container: str) -> t.Optional[t.Dict[str, t.Any]]:
        """Return what the engine knows about a container, by name or identifier; None when there is none."""
        with _errors_translated():
            try:
                return t.cast("t.Dict[str, t.Any]", self._client().inspect_container(container))
            except docker_errors.NotFound:
                return None

    def events(self) -> t.Iterator[Event]:
        """Return what happens from now on. The engine is watching when this returns, not only when it is iterated."""
        with _errors_translated():
            stream = self._client().events(since=int(time.time()) - OVERLAP_S, filters=EVENTS, decode=True)
        return _events_of(stream)

    def _client(self) -> APIClient:
        """Return this thread's own client: its kept-alive connection is not shared, so calls do not wait for others."""
        client = getattr(self._local, "client", None)
        if client is None:
            client = APIClient(base_url=self.url, version=self._version, tls=self._tls, timeout=TIMEOUT_S)
            self._version = client.api_version
            self._local.client = client
        return client

    def forget_version(self) -> None:
        """Ask the engine for its version again: it may have been upgraded while it was away."""
        self._version = "auto"
        self._local = threading.local()


class _errors_translated:
    """Turn what the SDK and its HTTP library raise into EngineError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: t.Any, error: t.Optional[BaseException], trace: t.Any) -> None:
        if isinstance(error, (docker_errors.DockerException, OSError, ValueError)):
            raise EngineError(f"Docker engine: {error}") from error


def _events_of(stream: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[Event]:
    # A connection that breaks in the middle raises whatever the layer raises that notices it first.
    try:
        for raw in stream:
            actor = raw.get("Actor") or {}
            action = str(raw.get("Action") or raw.get("status") or "")
            if action == "kill":
                action = f"{KILL}{(actor.get('Attributes') or {}).get('signal') or ''}"
            if raw.get("Type", "container") == "container":
                yield Event(str(actor.get("ID") or raw.get("id") or ""), action)
            elif raw.get("Type") == "network" and action in NETWORK_ACTIONS:
                yield Event(str((actor.get("Attributes") or {}).get("container") or ""), action)
    except Exception as error:
        raise EngineError(f"Docker engine: event stream broken: {error}") from error


def _outline(container: t.Mapping[str, t.Any]) -> str:
    """Return what changes whenever the container would be registered differently; not its "Up 3 minutes"."""
    status = str(container.get("Status") or "")
    health = status[status.find("(") :] if status.endswith(")") else ""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = sorted(f"{name}={(network or {}).get('IPAddress')}" for name, network in networks.items())
    ports = sorted(str(sorted(port.items())) for port in container.get("Ports") or [])
    return str((container.get("Names"), container.get("State"), health, addresses, ports))


def _tls(environment: t.Mapping[str, str]) -> t.Optional[TLSConfig]:
    if not environment.get("DOCKER_TLS_VERIFY"):
        return None
    folder = environment.get("DOCKER_CERT_PATH") or os.path.join(os.path.expanduser("~"), ".docker")
    certificate, key, authority = (os.path.join(folder, name) for name in ("cert.pem", "key.pem", "ca.pem"))
    if not os.path.exists(authority):
        return TLSConfig(client_cert=(certificate, key), verify=False)
    return TLSConfig(client_cert=(certificate, key), ca_cert=authority, verify=True)
