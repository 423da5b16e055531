# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers as the engine's inspect answers them."""

from __future__ import annotations

import typing as t

ID = "01abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567"


def published(*ports: str, first_host_port: int = 8080) -> t.Dict[str, t.List[t.Dict[str, str]]]:
    """Return bindings on all addresses: the first port at 8080, the next at 8081, and so on."""
    return {port: [{"HostIp": "0.0.0.0", "HostPort": str(first_host_port + number)}] for number, port in enumerate(ports)}


def container(**changes: t.Any) -> t.Dict[str, t.Any]:
    """Return a container on the default bridge that publishes 80 at 8080, unless told otherwise.

    ``env``, ``labels``, ``image``, ``name``, ``id``, ``ports`` (NetworkSettings.Ports), ``exposed``, ``mode``,
    ``networks``, ``running``, ``exit_code``, ``health``, ``paused`` and ``stop_signal`` may be given.
    """
    return {
        "Id": changes.get("id", ID),
        "Name": "/" + changes.get("name", "web.1"),
        "Config": {
            "Env": changes.get("env", []),
            "Labels": changes.get("labels", {}),
            "Image": changes.get("image", "reg.example:5000/team/nginx:1.2"),
            "Hostname": "abc",
            "ExposedPorts": changes.get("exposed", {}),
            "StopSignal": changes.get("stop_signal", ""),
        },
        "HostConfig": {"NetworkMode": changes.get("mode", "bridge")},
        "NetworkSettings": {
            "IPAddress": "",
            "Networks": changes.get("networks", {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}),
            "Ports": changes.get("ports", published("80/tcp")),
        },
        "State": {
            "Running": changes.get("running", True),
            "Paused": changes.get("paused", False),
            "ExitCode": changes.get("exit_code", 0),
            "Health": {"Status": changes["health"], "Log": [{"Output": "it says so\n"}]} if "health" in changes else None,
        },
    }
