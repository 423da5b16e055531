# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""How much of a container's log is kept where nobody says it: an engine left to itself keeps all of it until the disk is full."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine

Json = t.Dict[str, t.Any]

JSON_FILE = "json-file"
UNLIMITED: Json = {"Type": JSON_FILE, "Config": {}}
LIMITED: Json = {"Type": JSON_FILE, "Config": {"max-size": "10m", "max-file": "3"}}

DAEMON_OPTIONS = "/etc/docker/daemon.json"


def limited(engine: Engine, live: Json | None, wanted: Json) -> Json:
    """The wanted container with a limit, unless its options or the engine's own have something to say about it."""
    host = wanted["HostConfig"]
    if "LogConfig" in host or _engine_decides(engine, live):
        return wanted
    return {**wanted, "HostConfig": {**host, "LogConfig": LIMITED}}


def _engine_decides(engine: Engine, live: Json | None) -> bool:
    own = _daemon_options(engine)
    if own.get("log-driver", JSON_FILE) != JSON_FILE or "max-size" in (own.get("log-opts") or {}):
        return True
    # A container that an engine made without any limit shows that there is none; only of others the engine has to be asked.
    if live and live["HostConfig"].get("LogConfig") in (UNLIMITED, LIMITED):
        return False
    return bool(engine.info().get("LoggingDriver") != JSON_FILE)


def _daemon_options(engine: Engine) -> Json:
    """The options file of an engine on this host, which alone tells its limits. One that cannot be read says nothing."""
    if not engine.host.startswith("unix://"):
        return {}
    try:
        with open(DAEMON_OPTIONS, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
