# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the Docker engine: which containers run, what one container is, and what happens to them.

Only GET requests are made, on containers, events and version, so a filtering socket proxy can stand in between.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import typing as t
from urllib.parse import quote

from docker import errors as docker_errors
from docker.api.client import APIClient
from docker.tls import TLSConfig
from docker.transport import UnixHTTPAdapter
from requests import RequestException, Response
from requests.adapters import HTTPAdapter

from .connection import FAILURES, Connections, Security
from .news import CHANGED, DIED, KILL, LOOK, STARTED

DEFAULT_HOST = "unix:///tmp/docker.sock"
UNIX, AUTO = "unix://", "auto"
TIMEOUT_S = 30
# A little of the past is asked for again, since an engine answers a moment before it begins to watch.
OVERLAP_S = 2
NETWORK_ACTIONS = ("connect", "disconnect")
EVENTS = {
    "type": ["container", "network"],
    "event": [STARTED, DIED, "pause", "unpause", "health_status", "destroy", "rename", "update", "kill", *NETWORK_ACTIONS],
}
# A stream of events is silent for as long as nothing happens. Without these, an engine whose machine was switched off, or
# a firewall that forgot the connection, would never be told from a quiet one.
KEEP_ALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
]


class EngineError(Exception):
    """The engine cannot be reached or does not answer as it should."""


class Event(t.NamedTuple):
    """Something happened to a container: its full identifier, and what, in the words of ``news``.

    ``is_on_network`` tells what happened to its network from what happened to itself.
    """

    container: str
    news: str
    is_on_network: bool = False


class Engine:
    """One engine. Every method may be called by any thread and raises EngineError."""

    def __init__(self, environment: t.Mapping[str, str]) -> None:
        self.url = environment.get("DOCKER_HOST") or DEFAULT_HOST
        self._tls = _tls(environment)
        # What is asked for each container goes around the SDK where that is simple: it takes eight times as long for it.
        path = self.url[len(UNIX) :] if self.url.startswith(UNIX) else ""
        self._socket = Connections("http://docker", Security(), f"/{path.lstrip('/')}", TIMEOUT_S, TIMEOUT_S) if path else None
        self._local = threading.local()
        self._version = AUTO

    def containers(self) -> t.Dict[str, int]:
        """Return what a list tells of each container that runs or is paused, as one number, by identifier."""
        with _errors_translated():
            found = self._client().containers()
            return {container["Id"]: hash(_outline(container)) for container in found}

    def inspect(self, container: str) -> t.Optional[t.Dict[str, t.Any]]:
        """Return what the engine knows about a container, by name or identifier; None when there is none."""
        with _errors_translated():
            if self._socket:
                version = self._client().api_version if self._version == AUTO else self._version
                answer = self._socket.request("GET", f"/v{version}/containers/{quote(container, safe='')}/json", {}, None)
                if answer.status_code not in (200, 404):
                    raise EngineError(f"Docker engine: {answer.status_code} {answer.text.strip()[:300]}")
                return t.cast("t.Dict[str, t.Any]", answer.json()) if answer.status_code == 200 else None
            try:
                return t.cast("t.Dict[str, t.Any]", self._client().inspect_container(container))
            except docker_errors.NotFound:
                return None

    def events(self) -> t.Iterator[Event]:
        """Return what happens from now on. The engine is watching when this returns, not only when it is iterated."""
        with _errors_translated():
            client, began = self._client(), time.time()
            # The SDK's own method takes a refusal for a stream.
            query: t.Dict[str, t.Any] = {"since": int(began) - OVERLAP_S, "filters": json.dumps(EVENTS)}
            stream = client.get(f"{client.base_url}/v{client.api_version}/events", params=query, stream=True, timeout=(TIMEOUT_S, None))
            if stream.status_code != 200:
                raise EngineError(f"Docker engine: it refuses to tell its events: {stream.status_code} {stream.text.strip()[:300]}")
        return _events_of(_documents(stream), began)

    def _client(self) -> APIClient:
        """Return this thread's own client: its kept-alive connection is not shared, so calls do not wait for others."""
        client = getattr(self._local, "client", None)
        if client is None:
            client = APIClient(base_url=self.url, version=self._version, tls=self._tls, timeout=TIMEOUT_S)
            if self._socket:
                client.trust_env = False  # reading the environment for proxies costs each request, and no socket has one
                client.mount("http+docker://", _OneConnection(f"http+{self.url}", TIMEOUT_S))
            else:
                client.mount("http://", _KeptAlive())
                client.mount("https://", _KeptAlive())
            self._version = client.api_version
            self._local.client = client
        return client

    def forget_version(self) -> None:
        """Ask the engine for its version again: it may have been upgraded while it was away."""
        self._version = AUTO
        self._local = threading.local()


class _OneConnection(UnixHTTPAdapter):
    """Keeps one connection, where the SDK keeps one for each URL, and so for each container that was looked at lately.

    The proxy has room for 32 of them. When they were used up, nothing reached the engine any more until the idle ones ended.
    """

    def get_connection(self, url: str, proxies: t.Any = None) -> t.Any:
        return super().get_connection("http+docker://localhost", proxies)


class _KeptAlive(HTTPAdapter):
    """Notices within a minute that the other end is gone, however long nothing was said."""

    def init_poolmanager(self, *arguments: t.Any, **settings: t.Any) -> None:
        super().init_poolmanager(*arguments, **{**settings, "socket_options": KEEP_ALIVE})


class _errors_translated:
    """Turn what the SDK and its HTTP library raise into EngineError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: t.Any, error: t.Optional[BaseException], trace: t.Any) -> None:
        if isinstance(error, (docker_errors.DockerException, RequestException, *FAILURES, LookupError, TypeError, AttributeError)):
            raise EngineError(f"Docker engine: {error}") from error


def _documents(stream: Response) -> t.Iterator[t.Mapping[str, t.Any]]:
    """Return the JSON documents of a stream, each as soon as its line is complete."""
    # Where nothing says how long a piece is, one that is asked for whole would be waited for until the end.
    size = None if getattr(stream.raw, "chunked", False) else 1
    for line in stream.iter_lines(chunk_size=size):
        if line.strip():
            yield json.loads(line)


def _events_of(documents: t.Iterable[t.Mapping[str, t.Any]], began: float) -> t.Iterator[Event]:
    """Return what the documents say of containers. What happened before ``began`` (seconds since 1970) may be over."""
    # A connection that breaks in the middle raises whatever the layer raises that notices it first.
    try:
        for raw in documents:
            actor = raw.get("Actor") or {}
            action = str(raw.get("Action") or raw.get("status") or "")
            is_past = float(raw.get("timeNano") or 0) / 1e9 < began
            if raw.get("Type", "container") == "container":
                yield Event(str(actor.get("ID") or raw.get("id") or ""), LOOK if is_past else _news_of(action, actor))
            elif raw.get("Type") == "network" and action in NETWORK_ACTIONS:
                yield Event(str((actor.get("Attributes") or {}).get("container") or ""), LOOK if is_past else CHANGED, is_on_network=True)
    except Exception as error:
        raise EngineError(f"Docker engine: event stream broken: {error}") from error


def _news_of(action: str, actor: t.Mapping[str, t.Any]) -> str:
    if action == "kill":
        signal = str((actor.get("Attributes") or {}).get("signal") or "")
        return f"{KILL}{signal}" if signal.isdecimal() and len(signal) < 3 else CHANGED
    return action if action in (STARTED, DIED) else CHANGED


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
