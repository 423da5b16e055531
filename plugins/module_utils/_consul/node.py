# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""One Consul node: its configuration file and its container, brought to what the options say."""

from __future__ import annotations

import os
import socket
import typing as t
from dataclasses import replace

from ansible_collections.discovery.consul.plugins.module_utils._consul import config as configuration
from ansible_collections.discovery.consul.plugins.module_utils._consul import declared, endpoint, extra_files, security, versions
from ansible_collections.discovery.consul.plugins.module_utils._consul import folder as config_folder
from ansible_collections.discovery.consul.plugins.module_utils._consul import image as consul_image
from ansible_collections.discovery.consul.plugins.module_utils._consul.config import ConfigError
from ansible_collections.discovery.consul.plugins.module_utils._consul.folder import ConfigFolder
from ansible_collections.discovery.consul.plugins.module_utils._docker import converge, network
from ansible_collections.discovery.consul.plugins.module_utils._docker.container import ASIDE, Container, ContainerError
from ansible_collections.discovery.consul.plugins.module_utils._docker.converge import ABSENT, STOPPED, Result
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import CREATE, RECREATE, RELOAD, RESTART, START, WRITE, Difference, Plan, Plans
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import HOST, MADE_LABEL, ContainerSpec, numeric_user

Json = t.Dict[str, t.Any]

CONFIG_DIR = "/consul/config"
SYSLOG_SOCKET = "/dev/log"
ANSWERS = (200, 401, 403)

GRPC_TLS = "ports.grpc_tls"

METADATA = "server_metadata.json"
REJOIN_AGE = "8760h"
"""A year. It keeps servers away that were taken out of the cluster; one whose hosts were off comes back."""

UNKNOWN_RELEASE = "Consul {} is newer than the releases that this collection knows. It is configured like the newest of those."


class Node:
    """One node on one engine. `options` are the module's, by name; secrets in them are never put into texts or plans."""

    def __init__(self, engine: Engine, options: Json) -> None:
        self.engine = engine
        self.options = options
        self.name: str = options["container_name"] or options["node_name"]
        self.uid, self.gid = numeric_user(options["user"])
        self.folder = ConfigFolder(options["config_dir"] or f"/etc/discovery.consul/{self.name}", self.uid, self.gid)
        self.host_network = options["network"] == HOST
        self._extra: config_folder.Files = {}

    def converge(self, check_mode: bool) -> Result:
        """Bring the node to the wanted state, or say in check mode what that would take."""
        if self.options["state"] == ABSENT:
            return self._converge_absent(check_mode)
        node = {"node_name": self.options["node_name"]}
        self._extra = extra_files.read(self.options["config_files"])
        self._judge_services()
        consul_options = self._consul_options()
        self._judge(consul_options)
        converge.judge_engine(self.engine, self.name)
        recovered = self._steps().recover_unfinished(check_mode)
        image = converge.find_image(self.engine, self.options["image"], self.options["image_fallback"], may_pull=not check_mode)
        if image is None:
            plan = converge.plan_unpulled(self.engine, self.name, self.options["image"])
            return Result(Plans.of(recovered, plan), changed=True, pending=plan.disruptive and not self.options["allow_disruption"], facts=node)
        version = consul_image.version_of(self.engine, image)
        config = configuration.build({**consul_options, **self._of_release(consul_options, version)}, self.options["extra_config"], version)
        wanted = converge.container_of(self.engine, self.name, self._container(image))
        plan = self._plan(wanted, config, image)
        self._judge_release(plan, version)
        keys = len(security.keyring(self._data_directory()))
        warnings = [] if version <= versions.NEWEST_KNOWN or not plan.differences else [UNKNOWN_RELEASE.format(versions.show(version))]
        former = sorted(declared.ids(config_folder.parse(self.folder.files()) or {}) - declared.ids(config))
        facts = {**node, "image": image["Name"], "version": versions.show(version), "gossip_keys": keys, "former_services": former}
        result = Result(Plans.of(recovered, plan), facts=facts, warnings=warnings)
        result.changed = bool(result.plan.differences)
        if not plan.differences:
            result.warnings += self._restless()
            return result
        make_network = self._check(plan, wanted, config, image)
        if plan.disruptive and not self.options["allow_disruption"]:
            result.pending = True
            result.changed = check_mode or bool(recovered.differences)
        elif not check_mode:
            self._apply(plan, wanted, config, make_network)
        return result

    def _of_release(self, consul_options: Json, version: versions.Version) -> Json:
        """What servers of a release do by default and ours do not: to stay away for a week of holidays, and to open one more port."""
        if not self.options["server"]:
            return {"server_rejoin_age_max": None}
        age = self.options["server_rejoin_age_max"] or REJOIN_AGE
        closed = {} if versions.refused(GRPC_TLS, version) else {"grpc_tls": -1}
        return {
            "server_rejoin_age_max": age if versions.written_as("server_rejoin_age_max", version) else None,
            "ports": {**closed, **(consul_options["ports"] or {})},
        }

    def _converge_absent(self, check_mode: bool) -> Result:
        plan = converge.plan_removal(self.engine, self.name)
        volume = self._data_volume()
        named = not volume.startswith("/")
        if self.folder.exists():
            plan += [Difference("config_dir", self.folder.path, None, "remove")]
        if self.options["purge_data"] and named and self.engine.volume(volume):
            plan += [Difference("data_volume", volume, None, "remove")]
        if not check_mode and plan.differences:
            self._steps().remove_all()
            self.folder.remove()
            if self.options["purge_data"] and named and self.engine.volume(volume):
                with self.engine.doing(f"remove the volume {volume}"):
                    self.engine.api.remove_volume(volume)
            if not self.host_network:
                network.remove_unused(self.engine, self.options["network"])
        return Result(plan, changed=bool(plan.differences), facts={"node_name": self.options["node_name"]})

    def _consul_options(self) -> Json:
        """The options that go into the configuration, with what this node's network implies."""
        given = {name: self.options[name] for name in versions.OPTIONS if name in self.options}
        if not self.host_network:
            given["advertise_addr"] = given["advertise_addr"] or self.options["ipv4_address"]
            given["client_addr"] = given["client_addr"] or "0.0.0.0"
        given["services"] = declared.written(given["services"] or [], self.options["acl_services_token"])
        given.update(security.settings(self.options, CONFIG_DIR))
        # A failed `join` ends the agent; what its user wants is to be a member, and that is retry_join.
        given["retry_join"] = list(dict.fromkeys([*(given["retry_join"] or []), *(self.options["join"] or [])]))
        return given

    def _judge(self, consul_options: Json) -> None:
        found = [*configuration.problems(consul_options), *security.problems(self.options), *self._host_problems(consul_options)]
        if found:
            raise ConfigError(f"Node {self.options['node_name']}: {' '.join(found)}")

    def _judge_services(self) -> None:
        """Before they are looked at in any other way: a declared service may be anything that an inventory can hold."""
        extra = self.options["extra_config"]
        scripts = any((self.options["enable_local_script_checks"], extra.get("enable_script_checks"), extra.get("enable_local_script_checks")))
        found = list(declared.problems(self.options["services"] or [], scripts))
        if self.options["services"] and "services" in extra:
            found.append("extra_config has services as well, which would replace those of the option services. Declare all of them there.")
        if found:
            raise ConfigError(f"Node {self.options['node_name']}: {' '.join(found)}")

    def _host_problems(self, consul_options: Json) -> t.Iterator[str]:
        if consul_options.get("enable_syslog") and not os.path.exists(SYSLOG_SOCKET):
            yield (
                f"enable_syslog needs {SYSLOG_SOCKET} on the Docker host, and there is none: the agent would end after a minute. "
                "Install a syslog daemon or leave it off."
            )
        listeners = self._listeners()
        if not self.host_network and listeners and all(listener.loopback for listener in listeners):
            option = "addresses" if self.options["addresses"] else "client_addr"
            yield (
                f"{option} is a loopback address inside a container's own network, where nobody reaches it. "
                "Use 0.0.0.0 and publish the ports on the host's loopback."
            )
        if not listeners:
            yield "Neither HTTP nor HTTPS has a port, so nobody could tell whether the agent works. Give one of them in ports."
        bind = consul_options.get("bind_addr")
        if self.host_network and bind and "{{" not in bind and not _is_local(bind):
            yield f"bind_addr {bind} is no address of this host. Give one that 'ip address' shows."
        data, held = self._data_directory(), self.folder.files()
        if os.path.isdir(data) and not _writable(data, self.uid, self.gid):
            yield f"The data directory {data} is not writable for the agent's user {self.uid}:{self.gid}. Run: chown -R {self.uid}:{self.gid} {data}"
        yield from security.conflicts(self.options, configuration.flatten(config_folder.parse(held) or {}), held, data)

    def _data_directory(self) -> str:
        """Where the agent's data lies on this host; an empty text before there is any."""
        path = self._data_volume()
        return path if path.startswith("/") else (self.engine.volume(path) or {}).get("Mountpoint", "")

    def _data_volume(self) -> str:
        return t.cast(str, self.options["data_volume"] or f"{self.name}-data")

    def _container(self, image: Json) -> ContainerSpec:
        o = self.options
        syslog = [(SYSLOG_SOCKET, SYSLOG_SOCKET, False)] if o["enable_syslog"] else []
        return ContainerSpec.from_options(
            o,
            image=image["Name"],
            entrypoint=["consul"],
            command=["agent", f"-config-dir={CONFIG_DIR}"],
            network=o["network"],
            ipv4_address=o["ipv4_address"],
            published_ports=[] if self.host_network else o["published_ports"],
            mounts=[(self.folder.path, CONFIG_DIR, True), (self._data_volume(), o["data_dir"], False), *syslog],
            environment=o["environment"],
            labels={
                **o["labels"],
                MADE_LABEL: "container",
                "discovery.consul.node": o["node_name"],
                "discovery.consul.role": "server" if o["server"] else "client",
            },
            hostname=o["node_name"],
        )

    def _plan(self, wanted: Json, config: Json, image: Json) -> Plan:
        plan = converge.plan_container(self.engine, self.name, self.options["state"], wanted, image)
        if CREATE in plan.actions:
            return plan
        held, live = self.folder.files(), self.engine.container(self.name) or {"State": {}}
        current = config_folder.parse(held)
        if current is None:
            found = [Difference("config_file", None, self.folder.path, RESTART)]
        else:
            found = [*configuration.changes(current, config, current != config and self._is_member(live)), *self._file_differences(held)]
        if not live["State"].get("Running") or self.options["state"] == STOPPED:
            found = [replace(one, needs=WRITE) for one in found]
        return plan + found

    def _judge_release(self, plan: Plan, wanted: versions.Version) -> None:
        """A server cannot read what a newer release has written, and reads what the last few have."""
        node, image = f"Node {self.options['node_name']}", next((one for one in plan.differences if one.name == "image"), None)
        if wanted in versions.BROKEN and (image or CREATE in plan.actions):
            raise ConfigError(f"{node} would run Consul {versions.show(wanted)}, and {versions.BROKEN[wanted]}. Name another image.")
        runs = self.engine.image(image.current) if image and image.current else None
        if runs is None or not self.options["server"]:
            return
        version = consul_image.version_of(self.engine, {**runs, "Name": runs["Id"]})
        if versions.line(wanted) < versions.line(version):
            raise ConfigError(
                f"{node} runs Consul {versions.show(version)}, and the image has {versions.show(wanted)}, which cannot read its "
                "data. Name a newer image; to go back for good, restore a snapshot into a new cluster."
            )
        path = versions.path(version, wanted)
        if versions.line(wanted) - versions.line(version) > versions.LINES_AT_ONCE:
            raise ConfigError(
                f"{node} runs Consul {versions.show(version)}, and the image has {versions.show(wanted)}: Consul is upgraded over "
                f"{versions.LINES_AT_ONCE} lines of releases at a time. The way is {' - '.join(versions.show(one) for one in path)}. "
                "Name an image of the first of them, for all nodes, and go on from there."
            )

    def _file_differences(self, held: config_folder.Files) -> t.Iterable[Difference]:
        left = self.folder.pending()
        if left:
            yield Difference("config_file", "written, but not taken over yet", "taken over", left)
        wanted = self._files()
        for name in sorted({*held, *wanted} - {config_folder.FILE}):
            if held.get(name) != wanted.get(name):
                extra = name.startswith(extra_files.PREFIX)
                needs = extra_files.needs(held.get(name), wanted.get(name)) if extra else RELOAD
                shown = ("(one content)" if name in held else None, "(another content)" if name in wanted else None)
                yield Difference(f"{'config_files' if extra else 'file'}.{name}", *shown, needs)
        if not self.folder.private(held):
            yield Difference("config_file.mode", "open to others", f"0600 {self.uid}:{self.gid}", WRITE)

    def _files(self) -> config_folder.Files:
        """What is beside the configuration."""
        return {**security.files(self.options), **self._extra}

    def _check(self, plan: Plan, wanted: Json, config: Json, image: Json) -> bool:
        """Everything that can be known to fail is found here, before anything is changed."""
        make_network = False
        if {CREATE, RECREATE, START} & set(plan.actions):
            self._check_names()
            make_network = converge.check_host(self.engine, self.name, wanted, self.options["network_subnet"])
        if any(one.name.startswith(("config", "container", "image", "mounts")) for one in plan.differences):
            consul_image.validate(self.engine, image, config, self._extra, wanted)
        return make_network

    def _check_names(self) -> None:
        for other in self.engine.containers():
            name = other["Names"][0].lstrip("/")
            if name not in (self.name, self.name + ASIDE) and (other.get("Labels") or {}).get("discovery.consul.node") == self.options["node_name"]:
                raise ConfigError(
                    f"The container {name} on this Docker host is the node {self.options['node_name']} already. Give each node a name of its own."
                )

    def _apply(self, plan: Plan, wanted: Json, config: Json, make_network: bool) -> None:
        if make_network:
            network.create(self.engine, self.options["network"], self.options["network_subnet"])
        self._prepare_data()
        former = self.folder.files()
        needs = next((action for action in (RESTART, RELOAD) if action in plan.actions), None)
        self.folder.write({config_folder.FILE: config_folder.as_text(config), **self._files()}, needs)
        try:
            converge.apply(self._steps(undo=lambda: self._write_back(former)), plan, wanted, self.options["state"])
        except ContainerError as exc:
            raise ContainerError(f"{exc}{self._advice(str(exc))}") from exc
        self.folder.done()

    def _restless(self) -> list[str]:
        """An agent that ends as often as the engine starts it is as it was wanted, and yet of no use."""
        live = self.engine.container(self.name) or {"State": {}}
        if not live["State"].get("Restarting"):
            return []
        words = self.engine.logs(self.name)
        return [f"The container {self.name} ends again and again. Its last log lines:\n{words}{self._advice(words)}"]

    def _advice(self, said: str) -> str:
        """What Consul's own words do not say of a server that was off for long, or whose host lost power."""
        if "server_rejoin_age_max" not in said and not ("server_metadata" in said or "server metadata" in said):
            return ""
        where = os.path.join(self._data_directory() or "the data directory", METADATA)
        return f"\nKeep its data. Remove the file {where} and run again: it only tells when the server ran last, and stops one that was off for long."

    def _write_back(self, former: config_folder.Files) -> None:
        if former:
            self.folder.write(former, needs=None)
            self.folder.done()
        else:
            self.folder.remove()

    def _prepare_data(self) -> None:
        path = self._data_volume()
        if path.startswith("/") and not os.path.isdir(path):
            os.makedirs(path, mode=0o750)
            os.chown(path, self.uid, self.gid)

    def _steps(self, undo: t.Callable[[], None] = lambda: None) -> Container:
        return Container(self.engine, self.name, self._why_not_ready, undo, self.options["stop_timeout"], self.options["ready_timeout"])

    def _why_not_ready(self, live: Json) -> str | None:
        """Ready is an agent whose API answers; whether the cluster is well is the health check's to say."""
        status, said = self._ask(live, "/v1/agent/self")
        return None if status in ANSWERS else said

    def _is_member(self, live: Json) -> bool:
        """Whether the agent knows a leader, and so has joined. One that is paused cannot say."""
        if live["State"].get("Paused"):
            return False
        status, body = self._ask(live, "/v1/status/leader")
        return status == 200 and body.strip() not in ("", '""')

    def _ask(self, live: Json, path: str) -> tuple[int | None, str]:
        """What the first of its listeners answers that answers at all: status and body, or None and why none does."""
        said = "it has no address yet"
        for listener in self._listeners():
            for address in endpoint.reached_at(listener, live, None if self.host_network else self.options["network"]):
                status, body = endpoint.ask(listener, address, path)
                if status in ANSWERS:
                    return status, body
                said = f"its API at {listener} does not answer ({body})" if status is None else f"its API at {listener} answers {status}: {body[:200]}"
        return None, said

    def _listeners(self) -> list[endpoint.Listener]:
        return endpoint.listeners(configuration.merge(self._consul_options(), self.options["extra_config"]))


def _is_local(address: str) -> bool:
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _writable(path: str, uid: int, gid: int) -> bool:
    status = os.stat(path)
    if not os.access(path, os.W_OK):
        return False
    if uid == 0:
        return True
    wanted = 0o300 if status.st_uid == uid else 0o030 if status.st_gid == gid else 0o003
    return status.st_mode & wanted == wanted
