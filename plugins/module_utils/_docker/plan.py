# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Compare a wanted container with the live one and say what has to be done, as data, before anything is done."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.discovery.consul.plugins.module_utils._docker.fields import ENGINE_DECIDES, FIELDS, RECREATE, UPDATE

Json = t.Dict[str, t.Any]

CREATE, START, STOP, REMOVE, RESTART, RELOAD = "create", "start", "stop", "remove", "restart", "reload"

RECOVER = "recover"
"""A replacement that was interrupted is ended, before anything else is looked at."""

WRITE = "write"
"""A file is not as wanted, and writing it is all that there is to do."""

SPEC_LABEL = "discovery.consul.spec"
"""Holds a hash of the whole specification, so that an option is missed when it is taken away, too."""

DISRUPTIVE = frozenset({RECREATE, RESTART, STOP, REMOVE})


@dataclass(frozen=True)
class Difference:
    """One thing that is not as wanted. `needs` is one of write, recover, create, start, stop, remove, restart,
    reload, update, recreate."""

    name: str
    current: t.Any
    wanted: t.Any
    needs: str

    def as_dict(self) -> Json:
        return {"name": self.name, "current": self.current, "wanted": self.wanted, "needs": self.needs}


@dataclass(frozen=True)
class Plan:
    """The differences, in order, and what follows from them."""

    differences: tuple[Difference, ...] = field(default=())

    @property
    def actions(self) -> list[str]:
        """What is to be done, in order. A re-creation does the work of all others, a restart that of a reload.

        A start comes together with a reload or a restart where a paused container goes on: what it runs has not changed by that.
        """
        needed = {difference.needs for difference in self.differences}
        for whole in (REMOVE, CREATE, RECREATE):
            if whole in needed:
                return [whole]
        if RESTART in needed:
            needed.discard(RELOAD)
        return [action for action in (RECOVER, UPDATE, STOP, START, RELOAD, RESTART) if action in needed]

    @property
    def disruptive(self) -> bool:
        """Whether a running container would stop, if only for a moment."""
        return any(action in DISRUPTIVE for action in self.actions)

    def __add__(self, more: t.Iterable[Difference]) -> Plan:
        return replace(self, differences=self.differences + tuple(more))

    def as_dict(self) -> Json:
        return {"actions": self.actions, "differences": [difference.as_dict() for difference in self.differences]}


@dataclass(frozen=True)
class Plans(Plan):
    """Plans that are carried out together, of several containers or of one that is recovered first, as one."""

    parts: tuple[Plan, ...] = field(default=())

    @classmethod
    def of(cls, *parts: Plan) -> Plans:
        return cls(tuple(difference for part in parts for difference in part.differences), parts)

    @property
    def actions(self) -> list[str]:
        """What is to be done to any of them, each named once."""
        return list(dict.fromkeys(action for part in self.parts for action in part.actions))


def compare(wanted: Json, live: Json, wanted_image_id: str, live_image: Json | None) -> list[Difference]:
    """Every field in which `live` is not as `wanted`.

    `live_image` is the inspected image that the live container was made from, for what it inherited; None when the
    engine no longer has it.
    """
    live = {**live, "Networks": live.get("NetworkSettings", {}).get("Networks") or {}}
    found = []
    if live.get("Image") != wanted_image_id:
        found.append(Difference("image", live.get("Image"), wanted_image_id, RECREATE))
    for one in FIELDS:
        want = one.read(wanted)
        if want is not ENGINE_DECIDES and want != (have := one.read(live)):
            # The engine takes a limit of 0 as "leave it": one that is taken away needs a new container.
            found.append(Difference(one.name, None if have is ENGINE_DECIDES else have, want, one.needs if want else RECREATE))
    inherited = (live_image or {}).get("Config") or {}
    found += _environment(wanted["Config"], live["Config"], inherited)
    found += _labels(wanted["Config"], live["Config"], inherited)
    found += _networks(wanted.get("Networks") or {}, live["Networks"])
    if not any(difference.needs == RECREATE for difference in found) and _spec_of(live) != specification(wanted):
        found.append(Difference("specification", "made with other options", "made with these options", RECREATE))
    return found


def specification(container: Json) -> str:
    """A hash of everything in `container` that only a re-creation can change. An image counts by its id, not by its name."""
    updatable = {one.key for one in FIELDS if one.needs == UPDATE} | {"CpuPeriod"}
    host = {key: value for key, value in container["HostConfig"].items() if key not in updatable}
    config = {**container["Config"], "Image": None, "Labels": {k: v for k, v in (container["Config"].get("Labels") or {}).items() if k != SPEC_LABEL}}
    text = json.dumps([config, host, container.get("Networks") or {}], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_specification(container: Json) -> Json:
    """`container` with its hash as a label."""
    labels = {**(container["Config"].get("Labels") or {}), SPEC_LABEL: specification(container)}
    return {**container, "Config": {**container["Config"], "Labels": labels}}


def environment(entries: t.Iterable[str] | None) -> dict[str, str]:
    """`["A=1"]` as `{"A": "1"}`."""
    return {key: value for key, _equals, value in (entry.partition("=") for entry in entries or [])}


def _spec_of(live: Json) -> str | None:
    return (live["Config"].get("Labels") or {}).get(SPEC_LABEL)


def _environment(wanted: Json, live: Json, inherited: Json) -> list[Difference]:
    want = {**environment(inherited.get("Env")), **environment(wanted.get("Env"))}
    have = environment(live.get("Env"))
    # Values may be secrets: a difference says which variable, never what is in it.
    shown = {(True, True): ("(one value)", "(another value)"), (False, True): (None, "(set)"), (True, False): ("(set)", None)}
    return [
        Difference(f"environment.{key}", *shown[key in have, key in want], needs=RECREATE) for key in sorted({*want, *have}) if want.get(key) != have.get(key)
    ]


def _labels(wanted: Json, live: Json, inherited: Json) -> list[Difference]:
    want = {**(inherited.get("Labels") or {}), **(wanted.get("Labels") or {})}
    have = live.get("Labels") or {}
    return [
        Difference(f"labels.{key}", have.get(key), want.get(key), RECREATE) for key in sorted({*want, *have} - {SPEC_LABEL}) if want.get(key) != have.get(key)
    ]


def _networks(wanted: Json, live: Json) -> list[Difference]:
    found = []
    for name in sorted({*wanted, *live}):
        if name not in live or (name not in wanted and wanted):
            found.append(Difference(f"networks.{name}", "connected" if name in live else None, "connected" if name in wanted else None, RECREATE))
        elif name in wanted and (want := _address(wanted[name])) and want != (have := _address(live[name])):
            found.append(Difference(f"networks.{name}.ipv4_address", have, want, RECREATE))
    return found


def _address(endpoint: Json) -> str | None:
    return ((endpoint or {}).get("IPAMConfig") or {}).get("IPv4Address")
