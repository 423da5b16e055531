# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From a module's options to the container that the engine is asked for, in the shape that `fields` compares."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

HOST = "host"

MADE_LABEL = "discovery.consul.made"
"""Marks what this collection made, so that only that is cleaned up."""

CPU_PERIOD = 100_000

_PORT = re.compile(r"^(?:(?P<ip>\[[0-9a-fA-F:]+\]|[0-9.]+):)?(?P<host>\d+):(?P<container>\d+)(?:/(?P<protocol>tcp|udp))?$")
_SIZE = re.compile(r"^(\d+)([bkmg]?)$")


class SpecError(OperatorError):
    """An option that makes no container; the text says what to give instead."""


@dataclass(frozen=True)
class ContainerSpec:
    """What a container shall be. Mounts are `(source, target, read_only)`; a source without a slash is a named volume."""

    image: str
    entrypoint: list[str]
    command: list[str]
    network: str = HOST
    ipv4_address: str | None = None
    published_ports: list[str] = field(default_factory=list)
    mounts: list[tuple[str, str, bool]] = field(default_factory=list)
    environment: Json = field(default_factory=dict)
    labels: Json = field(default_factory=dict)
    hostname: str | None = None
    user: str | None = None
    groups: list[str] = field(default_factory=list)
    hardened: bool = True
    restart_policy: str = "unless-stopped"
    memory: str | None = None
    cpus: float | None = None
    nofile: int | None = None
    log_driver: str | None = None
    log_options: Json = field(default_factory=dict)
    stop_timeout: int = 30

    @classmethod
    def from_options(cls, options: Json, **own: t.Any) -> ContainerSpec:
        """With what all containers of the collection have from the shared options, and `own` fields."""
        shared = ("user", "hardened", "restart_policy", "memory", "cpus", "nofile", "log_driver", "log_options", "stop_timeout")
        return cls(**{**{name: options[name] for name in shared}, **own})

    def as_container(self) -> Json:
        """The wanted container: `Config`, `HostConfig` and `Networks`."""
        bindings = port_bindings(self.published_ports)
        config: Json = {
            "Image": self.image,
            "Entrypoint": self.entrypoint,
            "Cmd": self.command,
            "Env": sorted(f"{key}={value}" for key, value in self.environment.items()),
            "Labels": {key: str(value) for key, value in self.labels.items()},
            "StopTimeout": self.stop_timeout,
            "ExposedPorts": {port: {} for port in bindings},
        }
        if self.user:
            config["User"] = self.user
        if self.hostname and self.network != HOST:
            config["Hostname"] = self.hostname
        host: Json = {
            "NetworkMode": self.network,
            "PortBindings": bindings,
            "Mounts": [_mount(*mount) for mount in self.mounts],
            "RestartPolicy": {"Name": self.restart_policy},
            "Init": True,
            **self._hardening(),
            **self._limits(),
        }
        if self.groups:
            host["GroupAdd"] = list(self.groups)
        if self.log_driver:
            host["LogConfig"] = {"Type": self.log_driver, "Config": {key: str(value) for key, value in self.log_options.items()}}
        return {"Config": config, "HostConfig": host, "Networks": self._networks()}

    def _hardening(self) -> Json:
        if not self.hardened:
            return {}
        return {"CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": True, "Tmpfs": {"/tmp": ""}}

    def _limits(self) -> Json:
        limits: Json = {}
        if self.memory:
            limits["Memory"] = size(self.memory)
        if self.cpus:
            limits.update(CpuPeriod=CPU_PERIOD, CpuQuota=round(self.cpus * CPU_PERIOD))
        if self.nofile:
            limits["Ulimits"] = [{"Name": "nofile", "Soft": self.nofile, "Hard": self.nofile}]
        return limits

    def _networks(self) -> Json:
        if self.network == HOST:
            return {}
        return {self.network: {"IPAMConfig": {"IPv4Address": self.ipv4_address}} if self.ipv4_address else {}}


def numeric_user(text: str) -> tuple[int, int]:
    """`100:1000` as user id and group id; numbers, because names mean something else on the host and in the image."""
    uid, _colon, gid = text.partition(":")
    if not (uid.isdigit() and gid.isdigit()):
        raise SpecError(f"user '{text}' is not UID:GID in numbers. Write it like 100:1000.")
    return int(uid), int(gid)


def port_bindings(published: t.Iterable[str]) -> Json:
    """`["127.0.0.1:8500:8500/tcp"]` as the engine's PortBindings; the address is all when it is left out."""
    bindings: dict[str, list[Json]] = {}
    for text in published:
        match = _PORT.match(text)
        if not match:
            raise SpecError(f"published_ports has '{text}', which is not ADDRESS:HOST_PORT:CONTAINER_PORT/PROTOCOL. Write it like 127.0.0.1:8500:8500/tcp.")
        port = f"{match['container']}/{match['protocol'] or 'tcp'}"
        bindings.setdefault(port, []).append({"HostIp": (match["ip"] or "").strip("[]"), "HostPort": match["host"]})
    return bindings


def size(text: str) -> int:
    """`512m` as bytes; units are b, k, m and g, in steps of 1024."""
    match = _SIZE.match(text.strip().lower())
    if not match:
        raise SpecError(f"memory '{text}' is no size. Write it like 512m or 2g.")
    return int(match[1]) * 1024 ** "bkmg".index(match[2] or "b")


def _mount(source: str, target: str, read_only: bool) -> Json:
    kind = "bind" if source.startswith("/") else "volume"
    return {"Type": kind, "Source": source, "Target": target, "ReadOnly": read_only}
