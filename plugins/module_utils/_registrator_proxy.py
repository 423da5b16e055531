# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The read-only proxy between a Registrator and the engine's socket: a second container, and a volume for its own socket.

Whoever may write to the engine's socket is root on its host. Registrator only reads, so it does not get that socket.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from ansible_collections.discovery.consul.plugins.module_utils._docker import converge
from ansible_collections.discovery.consul.plugins.module_utils._docker.container import Container
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import CREATE, REMOVE, Difference, Plan
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import MADE_LABEL, ContainerSpec

Json = t.Dict[str, t.Any]

PROXY, SOCKET = "proxy", "socket"

SOCKET_TARGET = "/tmp/docker.sock"
"""Where the original looks for the engine, and so every compatible image."""

FOLDER = "/run/engine"
COMMAND = ["python3", "-m", "registrator.proxy"]
WHOLE = "whole"
LISTENING = "Letting reads of"
LINES = 200

IN_MEMORY = {"type": "tmpfs", "device": "tmpfs", "o": "mode=0777,size=64k"}
"""Only the two containers see this volume, and the socket in it is its owner's alone."""


class Part(t.NamedTuple):
    """One of several containers that are converged together: what has to be done to it, and how."""

    plan: Plan
    apply: t.Callable[[], None]


class EngineProxy:
    """The proxy of one Registrator. `options` are the module's, by name."""

    def __init__(self, engine: Engine, options: Json) -> None:
        self.engine = engine
        self.options = options
        self.name = f"{options['container_name']}-proxy"
        self.volume = f"{options['container_name']}-engine"
        self._is_new = False

    @property
    def is_wanted(self) -> bool:
        return bool(self.options["engine_access"] == PROXY)

    def access(self) -> Json:
        """What Registrator's own container needs to reach the engine."""
        if self.is_wanted:
            return {"mounts": [(self.volume, FOLDER, True)], "environment": {"DOCKER_HOST": f"unix://{FOLDER}/docker.sock"}, "groups": []}
        socket = self.options["docker_socket"]
        return {"mounts": [(socket, SOCKET_TARGET, True)], "environment": {}, "groups": [socket_group(socket)]}

    def part(self, may_pull: bool) -> Part:
        """What it takes to have the proxy as it is wanted."""
        if not self.is_wanted:
            return Part(self.plan_removal(), self.remove)
        name = self.options["proxy_image"] or self.options["image"]
        image = converge.find_image(self.engine, name, None if self.options["proxy_image"] else self.options["image_fallback"], may_pull)
        if image is None:
            return Part(_renamed(converge.plan_unpulled(self.engine, self.name, name)), lambda: None)
        wanted = converge.container_of(self.engine, self.name, self._container(image))
        plan = _renamed(converge.plan_container(self.engine, self.name, self.options["state"], wanted, image))
        return Part(plan, lambda: self._apply(plan, wanted))

    def plan_removal(self) -> Plan:
        plan = converge.plan_removal(self.engine, self.name)
        if self.engine.volume(self.volume):
            plan += [Difference("proxy.volume", self.volume, None, REMOVE)]
        return plan

    def remove(self) -> None:
        self.steps().remove_all()
        if self.engine.volume(self.volume):
            with self.engine.doing(f"remove the volume {self.volume}"):
                self.engine.api.remove_volume(self.volume)

    def undo(self) -> None:
        """Take away a proxy that was made in this run, for a Registrator that did not come up."""
        if self._is_new:
            self.remove()

    def steps(self) -> Container:
        o = self.options
        return Container(self.engine, self.name, self._why_not_ready, stop_timeout=o["stop_timeout"], ready_timeout=o["ready_timeout"])

    def _container(self, image: Json) -> ContainerSpec:
        o = self.options
        return ContainerSpec.from_options(
            o,
            image=image["Name"],
            entrypoint=COMMAND[:1],
            command=[*COMMAND[1:], *self._flags(), f"{FOLDER}/docker.sock", SOCKET_TARGET],
            network="none",
            mounts=[(o["docker_socket"], SOCKET_TARGET, True), (self.volume, FOLDER, False)],
            labels={**o["labels"], MADE_LABEL: "container", "discovery.consul.role": "registrator-proxy"},
            groups=[socket_group(o["docker_socket"])],
        )

    def _flags(self) -> list[str]:
        o = self.options
        has_template = any("{{" in tag for tag in o["tags"])
        is_whole = o["engine_documents"] == WHOLE or (o["engine_documents"] is None and has_template)
        return [*([f"-label={o['use_ip_from_label']}"] if o["use_ip_from_label"] else []), *(["-whole"] if is_whole else [])]

    def _apply(self, plan: Plan, wanted: Json) -> None:
        with self.engine.doing(f"create the volume {self.volume}"):
            self.engine.api.create_volume(self.volume, driver="local", driver_opts=IN_MEMORY, labels={MADE_LABEL: "volume"})
        converge.apply(self.steps(), plan, wanted, self.options["state"])
        self._is_new = CREATE in plan.actions

    def _why_not_ready(self, live: Json) -> str | None:
        return None if LISTENING in said_since_start(self.engine, self.name, live) else "the proxy does not listen yet"


def said_since_start(engine: Engine, name: str, live: Json) -> str:
    """What the container has printed since it was started last: an earlier run of it may have printed the same."""
    started = str((live.get("State") or {}).get("StartedAt") or "")
    with engine.doing(f"read the log of {name}"):
        printed = engine.api.logs(name, tail=LINES, timestamps=True).decode(errors="replace")
    lines = [line.partition(" ") for line in printed.splitlines()]
    return "\n".join(text for moment, _space, text in lines if _comparable(moment) >= _comparable(started))


def _comparable(moment: str) -> str:
    """A moment as the engine writes it, with nine digits behind the point: it leaves zeros at the end away, or not."""
    seconds, _point, fraction = moment.rstrip("Z").partition(".")
    return f"{seconds}.{fraction:0<9}"


def socket_group(path: str) -> str:
    """The group that may use the engine's socket."""
    try:
        return str(os.stat(path).st_gid)
    except OSError as exc:
        raise EngineError(f"The engine's socket {path} is not there ({exc.strerror}). Start the engine, or give its docker_socket.") from exc


def _renamed(plan: Plan) -> Plan:
    return Plan(tuple(replace(difference, name=f"proxy.{difference.name}") for difference in plan.differences))
