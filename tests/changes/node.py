# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One Consul server on this machine's engine: what the module says of it, and what the engine and the files say."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import time
import typing as t
import urllib.request
from dataclasses import dataclass

import docker
from ansible.module_utils.testing import patch_module_args
from ansible_collections.discovery.consul.plugins.modules import consul_agent

Json = t.Dict[str, t.Any]

PREFIX = "changes-"
NAME = f"{PREFIX}node"
ASIDE = f"{NAME}-replaced"
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class File:
    """A file or folder beside the container, with all that a run could change of it."""

    owner: tuple[int, int]
    mode: int
    changed: int
    text: str


@dataclass(frozen=True)
class Seen:
    """All that a run could change, as the engine and the file system show it."""

    containers: dict[str, Json]
    volumes: frozenset[str]
    networks: frozenset[str]
    files: dict[str, File]

    @property
    def survivor(self) -> Json | None:
        """The node's container; of two that an interrupted replacement left, the new one when it runs."""
        new = self.containers.get(NAME)
        return new if new and new["State"]["Running"] else self.containers.get(ASIDE, new)

    def config(self, path: pathlib.Path) -> Json:
        """The agent's configuration with dotted keys; empty when there is none."""
        file = self.files.get(str(path))
        return flat(json.loads(file.text)) if file else {}


class Node:
    """The node, and those who look at it and disturb it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.api = docker.APIClient(base_url=os.environ.get("DOCKER_HOST"), version="auto", timeout=120)
        self.folder = folder
        self.options: Json | None = None

    def run(self, options: Json, check: bool = False) -> Json:
        """What the module answers to these options, in diff mode."""
        printed = io.StringIO()
        paths = {
            "config_dir": str(self.folder / options["config_dir"]),
            "config_files": [str(self.folder / name) for name in options.get("config_files", [])],
        }
        asked = {**options, **paths, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(asked), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            consul_agent.main()
        return t.cast(Json, json.loads(printed.getvalue()))

    def bring_to(self, options: Json) -> None:
        """Where the last change did not leave the node as it should be, or was not run, it comes to be so now."""
        if self.options != options:
            answer = self.run(options)
            assert not answer.get("failed"), answer["msg"]
            self.options = options

    def look(self) -> Seen:
        own = {"name": PREFIX}
        return Seen(
            containers={one["Names"][0][1:]: self._container(one["Id"]) for one in self.api.containers(all=True, filters=own)},
            volumes=frozenset(one["Name"] for one in self.api.volumes(filters=own)["Volumes"] or []),
            networks=frozenset(one["Id"] for one in self.api.networks(filters=own)),
            files={str(path): _file(path) for path in [self.folder, *self.folder.rglob("*")]},
        )

    def _container(self, identity: str) -> Json:
        live = self.api.inspect_container(identity)
        live["Mounts"].sort(key=lambda mount: mount["Destination"])  # the engine shows them in any order
        return t.cast(Json, live)

    def events(self, since: str) -> list[str]:
        """What the engine did to the container since then, without what it only showed of it."""
        found = self.api.events(since=since, until=now(), filters={"type": "container", "container": NAME}, decode=True)
        return [f"{one['Action']} {one['Actor']['Attributes'].get('signal', '')}".strip() for one in found]

    def ask(self, path: str) -> t.Any:
        """What the agent answers."""
        live = self.api.inspect_container(NAME)
        address = next(iter(live["NetworkSettings"]["Networks"].values()))["IPAddress"]
        port = ((self.options or {}).get("ports") or {}).get("http", 8500)
        with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5) as answer:
            return json.load(answer)

    def wait_until_it_leads(self) -> None:
        deadline = time.monotonic() + 20
        while not self.ask("/v1/status/leader"):
            assert time.monotonic() < deadline, "it does not lead"
            time.sleep(0.05)

    @property
    def config(self) -> pathlib.Path:
        """The agent's configuration, while the node is as its options say."""
        return self.config_of(self.options or {})

    def config_of(self, options: Json) -> pathlib.Path:
        return self.folder / options["config_dir"] / "consul.json"

    def set_aside(self) -> None:
        """What a replacement leaves that was interrupted before it made a successor."""
        self.api.stop(NAME)
        self.api.rename(NAME, ASIDE)

    def leave_a_successor(self) -> None:
        """What a replacement leaves that was interrupted before its successor ran."""
        self.set_aside()
        self.api.create_container(t.cast(Json, self.options)["image"], name=NAME)

    def leave_the_old_one(self) -> None:
        """What a replacement leaves that was interrupted when its successor ran."""
        self.api.create_container(t.cast(Json, self.options)["image"], name=ASIDE)

    def remove(self) -> None:
        """Everything of that name, of this run or of one that was interrupted."""
        seen = self.look()
        for container in seen.containers.values():
            self.api.remove_container(container["Id"], force=True, v=True)
        for network in seen.networks:
            self.api.remove_network(network)
        for volume in seen.volumes:
            self.api.remove_volume(volume)


def did(before: Seen, after: Seen, events: list[str]) -> list[str]:
    """The actions that happened, in the words of a plan, told from nothing that the module says."""
    recovered = ["recover"] if ASIDE in before.containers and ASIDE not in after.containers else []
    was, is_now = before.survivor, after.survivor
    if was is None or is_now is None:
        gone = (before.containers, before.volumes, before.files) != (after.containers, after.volumes, after.files)
        return [*recovered, "create"] if is_now else ["remove"] if gone else []
    if was["Id"] != is_now["Id"]:
        return [*recovered, "recreate"]
    ran, runs = (one["State"]["Running"] and not one["State"]["Paused"] for one in (was, is_now))
    happened = {
        "update": was["HostConfig"] != is_now["HostConfig"],
        "stop": ran and not runs,
        "start": runs and not ran,
        "reload": "exec_start: sh -c kill -HUP 1" in events,
        "restart": was["State"]["Running"] and runs and was["State"]["StartedAt"] != is_now["State"]["StartedAt"],
    }
    return [*recovered, *(action for action, really in happened.items() if really)]


def now() -> str:
    """The time as the engine's events want it, to the nanosecond."""
    nanoseconds = time.time_ns()
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def flat(config: Json, prefix: str = "") -> Json:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    found: Json = {}
    for key, value in config.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value})
    return found


def _file(path: pathlib.Path) -> File:
    status = path.stat()
    return File((status.st_uid, status.st_gid), status.st_mode, status.st_mtime_ns, "" if path.is_dir() else path.read_text())
