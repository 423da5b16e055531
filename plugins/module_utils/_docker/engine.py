# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The Docker engine that a module talks to: quick reads, and the Docker SDK for everything that changes something."""

from __future__ import annotations

import http.client
import json
import os
import socket
import typing as t
from contextlib import contextmanager
from urllib.parse import quote

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

if t.TYPE_CHECKING:
    from docker import APIClient

Json = t.Dict[str, t.Any]

DEFAULT_HOST = "unix:///var/run/docker.sock"


class EngineError(OperatorError):
    """What the engine refused or could not do, as a sentence for the operator."""


class LibraryMissingError(Exception):
    """The Docker SDK for Python cannot be imported; carries the original error."""


class Engine:
    """One Docker engine.

    `host` is a Docker URL (`unix:///var/run/docker.sock`, `tcp://10.0.0.5:2376`); TLS for tcp comes from
    `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`. `timeout` is in seconds and holds for each call.
    """

    def __init__(self, host: str | None = None, timeout: float = 60) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self.timeout = timeout
        self.shown: dict[str, str | None] = {}
        """Names of containers, and which ones are shown in their places, if any: what check mode only assumes."""
        self._api: APIClient | None = None

    @property
    def api(self) -> APIClient:
        """The SDK's low-level client. Importing it costs more than a whole unchanged run, so it comes on first use."""
        if self._api is None:
            try:
                import docker
                from docker.utils import kwargs_from_env
            except ImportError as exc:
                raise LibraryMissingError(str(exc)) from exc
            with self.doing("connect to it"):
                options = kwargs_from_env(environment={**os.environ, "DOCKER_HOST": self.host})
                self._api = docker.APIClient(version="auto", timeout=self.timeout, **options)
        return self._api

    def container(self, name: str) -> Json | None:
        """`GET /containers/NAME/json`, or None when there is none."""
        real = self.shown.get(name, name)
        return self._inspect(f"/containers/{quote(real)}/json") if real else None

    def image(self, name: str) -> Json | None:
        """`GET /images/NAME/json`, or None when the engine does not hold it."""
        return self._inspect(f"/images/{quote(name, safe='/:@')}/json")

    def network(self, name: str) -> Json | None:
        """`GET /networks/NAME`, or None when there is none."""
        return self._inspect(f"/networks/{quote(name)}")

    def volume(self, name: str) -> Json | None:
        """`GET /volumes/NAME`, or None when there is none."""
        return self._inspect(f"/volumes/{quote(name)}")

    def containers(self) -> list[Json]:
        """`GET /containers/json?all=1`: every container, running or not."""
        return t.cast("list[Json]", self._read("/containers/json?all=1"))

    def architecture(self) -> str:
        """The machine that the engine runs on, as images name it: `amd64`."""
        return str(self._read("/version").get("Arch") or "")

    def info(self) -> Json:
        """`GET /info`: how the engine is set up. It takes longer than the other reads, so an unchanged run goes without."""
        return t.cast(Json, self._read("/info"))

    def logs(self, name: str, lines: int = 15) -> str:
        """The last lines that a container printed, for an error message."""
        with self.doing(f"read the log of {name}"):
            return self.api.logs(name, tail=lines).decode(errors="replace").strip()

    def _inspect(self, path: str) -> Json | None:
        return t.cast("Json | None", self._read(path))

    def _read(self, path: str) -> t.Any:
        status, body = self._get_unix(path) if self.host.startswith("unix://") else self._get_sdk(path)
        if status == 404:
            return None
        try:
            answer = json.loads(body)
        except ValueError as exc:
            raise EngineError(f"The Docker engine at {self.host} answered GET {path} with something that is not JSON: {body[:200]!r}") from exc
        if status >= 400:
            raise EngineError(f"The Docker engine at {self.host} refused GET {path} ({status}): {answer.get('message', answer)}")
        return answer

    def _get_unix(self, path: str) -> tuple[int, bytes]:
        connection = UnixConnection(self.host[len("unix://") :], self.timeout)
        try:
            connection.request("GET", path, headers={"Host": "docker"})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise EngineError(self._unreachable(exc)) from exc
        finally:
            connection.close()

    def _get_sdk(self, path: str) -> tuple[int, bytes]:
        with self.doing(f"GET {path}"):
            response = self.api.get(self.api.base_url + path, timeout=self.timeout)
            return response.status_code, response.content

    def _unreachable(self, exc: BaseException) -> str:
        return (
            f"The Docker engine at {self.host} does not answer ({exc}). "
            "Start it (systemctl start docker), run the play with the right to use its socket (become: true), or name another engine with docker_host."
        )

    @contextmanager
    def doing(self, what: str) -> t.Iterator[None]:
        """Turn whatever the SDK raises while `what` is done into an EngineError that says so."""
        try:
            import docker.errors
            import requests.exceptions
        except ImportError as exc:
            raise LibraryMissingError(str(exc)) from exc
        try:
            yield
        except docker.errors.APIError as exc:
            raise EngineError(f"The Docker engine at {self.host} could not {what}: {exc.explanation or exc}") from exc
        except (docker.errors.DockerException, requests.exceptions.RequestException) as exc:
            raise EngineError(self._unreachable(exc)) from exc


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, with the standard library alone."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
