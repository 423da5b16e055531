# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From a wanted container and a state to a plan, and from a plan to the steps: what all modules of this collection share."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._docker import image as images
from ansible_collections.discovery.consul.plugins.module_utils._docker import logs, network, ports
from ansible_collections.discovery.consul.plugins.module_utils._docker import plan as planning
from ansible_collections.discovery.consul.plugins.module_utils._docker.container import ASIDE, Container
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.fields import RECREATE, UPDATE
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import CREATE, RELOAD, REMOVE, RESTART, START, STOP, Difference, Plan
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import ContainerSpec

Json = t.Dict[str, t.Any]

STARTED, PRESENT, STOPPED, ABSENT = "started", "present", "stopped", "absent"


@dataclass
class Result:
    """What a run found and did. `pending` is true when a plan that stops the container was left for later."""

    plan: Plan
    changed: bool = False
    pending: bool = False
    warnings: list[str] = field(default_factory=list)
    facts: Json = field(default_factory=dict)
    """What else is known, returned as it is."""


def judge_engine(engine: Engine, name: str) -> None:
    """Refuse an engine on which a container of ours cannot work, as long as there is none."""
    if engine.container(name) or engine.container(name + ASIDE):
        return
    options = engine.info().get("SecurityOptions") or []
    for option, what in (("userns", "gives its containers other user ids than the host's (userns-remap)"), ("rootless", "runs without root")):
        if any(str(one).startswith(f"name={option}") for one in options):
            raise EngineError(
                f"The Docker engine at {engine.host} {what}, so a program in a container could not read its private files, which belong to a user "
                "of the host. Use an engine that runs as root and without userns-remap."
            )


def container_of(engine: Engine, name: str, spec: ContainerSpec) -> Json:
    """The wanted container, with what this host's engine has to be told besides."""
    return limited(engine, name, spec.as_container())


def limited(engine: Engine, name: str, wanted: Json) -> Json:
    """The wanted container, with a limit for its log where neither it nor the engine has one."""
    return logs.limited(engine, engine.container(name), wanted)


def find_image(engine: Engine, image: str, fallback: str | None, may_pull: bool) -> Json | None:
    """The inspected image: `image`, else `fallback` where the engine holds that, else `image` pulled.

    None only when `may_pull` is false and neither is there. EngineError when it cannot be had.
    """
    for name in filter(None, (image, fallback)):
        found = engine.image(name)
        if found:
            return {**found, "Name": name}
    if not may_pull:
        return None
    try:
        images.pull(engine, image)
    except EngineError as exc:
        raise EngineError(
            f"The image {image} is not on the Docker engine and cannot be pulled: {exc} "
            "Load it from an archive or build it (role container_image), or name an image that is there."
        ) from exc
    return {**t.cast(Json, engine.image(image)), "Name": image}


def plan_container(engine: Engine, name: str, state: str, wanted: Json, image: Json) -> Plan:
    """What has to be done to the container alone so that it is as `wanted` and in `state`."""
    live = engine.container(name)
    if live is None:
        return Plan((Difference("container", None, state, CREATE),))
    same_image = live.get("Image") == image["Id"]
    live_image = image if same_image else engine.image(live.get("Image", ""))
    return Plan(tuple(planning.compare(wanted, live, image["Id"], live_image) + _state_differences(live["State"], state)))


def plan_unpulled(engine: Engine, name: str, image: str) -> Plan:
    """The plan of a check mode, which pulls nothing, for an image that would have to be pulled first."""
    live = engine.container(name)
    return Plan((Difference("image", live["Image"] if live else None, image, RECREATE if live else CREATE),))


def plan_removal(engine: Engine, name: str) -> Plan:
    """The plan for state absent."""
    present = [one for one in (name, name + ASIDE) if engine.container(one)]
    return Plan(tuple(Difference(f"container {one}", "present", None, REMOVE) for one in present))


def check_host(engine: Engine, name: str, wanted: Json, subnet: str | None) -> bool:
    """Judge network, address and ports before anything is changed; whether the network has to be made."""
    own_names = (name, name + ASIDE)
    missing = False
    for one, endpoint in wanted["Networks"].items():
        address = (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
        missing = network.check(engine, one, subnet, address, own_names) is None
    taken = ports.conflicts(engine, ports.wanted_ports(wanted["HostConfig"]["PortBindings"]), own_names)
    if taken:
        raise EngineError(f"The container {name} cannot have its ports: {'; '.join(taken)}. Stop what holds them, or publish other ports.")
    return missing


def apply(container: Container, plan: Plan, wanted: Json, state: str) -> None:
    """Do what `plan` says, in its order."""
    steps: dict[str, t.Callable[[], None]] = {
        CREATE: lambda: container.create_and_start(wanted) if state == STARTED else container.create(wanted),
        RECREATE: lambda: container.recreate(wanted, start={STARTED: True, STOPPED: False}.get(state)),
        UPDATE: lambda: container.update(wanted),
        RELOAD: container.reload,
        RESTART: container.restart,
        START: container.start,
        STOP: container.stop,
    }
    for action in plan.actions:
        steps[action]()


def _state_differences(live: Json, state: str) -> list[Difference]:
    running = live.get("Running") and not live.get("Paused")
    if state == STARTED and not running:
        return [Difference("state", live.get("Status"), "running", START)]
    if state == STOPPED and live.get("Running"):
        return [Difference("state", live.get("Status"), "stopped", STOP)]
    return []
