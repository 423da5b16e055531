# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What a container is made of, field by field: how it is read, how it is compared, and what a difference needs.

Wanted and live containers have one shape, the engine's own: `{"Config": {...}, "HostConfig": {...}, "Networks": {...}}`
with the keys of `GET /containers/NAME/json`. A new option is one line in FIELDS.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Json = t.Dict[str, t.Any]

UPDATE = "update"
RECREATE = "recreate"

ENGINE_DECIDES = object()
"""The default of a field that the engine fills in by itself: not compared while the wanted container does not set it."""


def _plain(value: t.Any) -> t.Any:
    return value


def _number(value: t.Any) -> int:
    return int(value or 0)


def _flag(value: t.Any) -> bool:
    return bool(value)


def _sequence(value: t.Any) -> list[str]:
    return [str(item) for item in value or []]


def _unordered(value: t.Any) -> list[str]:
    return sorted(str(item) for item in value or [])


def _capabilities(value: t.Any) -> list[str]:
    return sorted(str(item).upper().replace("CAP_", "", 1) for item in value or [])


def _mapping(value: t.Any) -> Json:
    return dict(value or {})


def _restart_policy(value: t.Any) -> Json:
    policy = value or {}
    return {"Name": policy.get("Name") or "no", "MaximumRetryCount": policy.get("MaximumRetryCount") or 0}


def _ulimits(value: t.Any) -> list[tuple[str, int, int]]:
    return sorted((item["Name"], item["Soft"], item["Hard"]) for item in value or [])


def _ports(value: t.Any) -> Json:
    return {
        port: sorted((binding.get("HostIp") or "0.0.0.0", str(binding.get("HostPort", ""))) for binding in bindings or [])
        for port, bindings in sorted((value or {}).items())
    }


def _mounts(value: t.Any) -> list[tuple[str, str, str, bool]]:
    return sorted((item["Type"], item.get("Source", ""), item["Target"], bool(item.get("ReadOnly"))) for item in value or [])


@dataclass(frozen=True)
class Field:
    """One thing that can differ: its name for the operator, where it stands, its plain form and what a change of it needs."""

    name: str
    section: str
    key: str
    normal: t.Callable[[t.Any], t.Any] = _plain
    needs: str = RECREATE
    default: t.Any = None

    def read(self, container: Json) -> t.Any:
        """The field's plain form in `container`, or ENGINE_DECIDES."""
        value = container.get(self.section, {}).get(self.key, self.default)
        return value if value is ENGINE_DECIDES else self.normal(value)


FIELDS: tuple[Field, ...] = (
    Field("entrypoint", "Config", "Entrypoint", _sequence, default=ENGINE_DECIDES),
    Field("command", "Config", "Cmd", _sequence, default=ENGINE_DECIDES),
    Field("user", "Config", "User", default=ENGINE_DECIDES),
    Field("hostname", "Config", "Hostname", default=ENGINE_DECIDES),
    Field("stop_timeout", "Config", "StopTimeout", default=ENGINE_DECIDES),
    Field("stop_signal", "Config", "StopSignal", default=ENGINE_DECIDES),
    Field("healthcheck", "Config", "Healthcheck", default=ENGINE_DECIDES),
    Field("network_mode", "HostConfig", "NetworkMode", default=ENGINE_DECIDES),
    Field("published_ports", "HostConfig", "PortBindings", _ports),
    Field("mounts", "HostConfig", "Mounts", _mounts),
    Field("tmpfs", "HostConfig", "Tmpfs", _mapping),
    Field("read_only", "HostConfig", "ReadonlyRootfs", _flag),
    Field("init", "HostConfig", "Init", _flag),
    Field("capabilities_dropped", "HostConfig", "CapDrop", _capabilities),
    Field("capabilities_added", "HostConfig", "CapAdd", _capabilities),
    Field("security_options", "HostConfig", "SecurityOpt", _unordered),
    Field("groups", "HostConfig", "GroupAdd", _unordered),
    Field("ulimits", "HostConfig", "Ulimits", _ulimits, default=ENGINE_DECIDES),
    Field("extra_hosts", "HostConfig", "ExtraHosts", _unordered),
    Field("log", "HostConfig", "LogConfig", default=ENGINE_DECIDES),
    Field("restart_policy", "HostConfig", "RestartPolicy", _restart_policy, UPDATE),
    Field("memory", "HostConfig", "Memory", _number, UPDATE),
    Field("cpu_quota", "HostConfig", "CpuQuota", _number, UPDATE),
)
