# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A Registrator container: its command line from typed options, its token in a file, and when it counts as ready."""

from __future__ import annotations

import hashlib
import re
import socket
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker import converge
from ansible_collections.discovery.consul.plugins.module_utils._docker.container import Container
from ansible_collections.discovery.consul.plugins.module_utils._docker.converge import ABSENT, Result
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError
from ansible_collections.discovery.consul.plugins.module_utils._docker.fields import RECREATE
from ansible_collections.discovery.consul.plugins.module_utils._docker.folder import Folder
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import CREATE, REMOVE, START, WRITE, Difference, Plan, Plans
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import HOST, MADE_LABEL, ContainerSpec, numeric_user
from ansible_collections.discovery.consul.plugins.module_utils._registrator_proxy import PROXY, EngineProxy, Part, said_since_start

Json = t.Dict[str, t.Any]

TOKEN_FILE = "token"
TOKEN_DIR = "/run/registrator"
LISTENING = "Listening for Docker events"

MACHINE_ID = "/etc/machine-id"
OWN_LABEL = "discovery.consul.registrator"
"""The collection's own image has this label, and with it the flag `-owner`."""

SWITCHES = ("internal", "explicit", "cleanup", "health_checks", "opt_in", "script_checks")
OWN_FLAGS = ("address_from", "health_ttl", "listen", "log_format", "name_from", "on_container_stop", "on_exit")
"""What only our Registrator understands: left out unless it is given, so that any compatible image runs."""


class FlagError(OperatorError):
    """Options that contradict each other."""


def flags(options: Json, owner: str | None = None) -> list[str]:
    """The command line, in the original's syntax."""
    valued = {
        "ip": options["ip"],
        "useIpFromLabel": options["use_ip_from_label"],
        "tags": _listed(options["tags"]),
        "allowed-names": _listed(options["allowed_names"]),
        "owner": owner,
        "ttl": options["ttl"],
        "ttl-refresh": options["ttl_refresh"],
        "resync": options["resync"],
        "deregister": options["deregister"],
        "retry-attempts": options["retry_attempts"],
        "retry-interval": options["retry_interval"],
        **{name.replace("_", "-"): options[name] for name in OWN_FLAGS},
    }
    switches = [f"-{name.replace('_', '-')}" for name in SWITCHES if options[name]]
    return [*switches, *(f"-{name}={value}" for name, value in valued.items() if value not in (None, "", 0)), *options["extra_flags"], options["registry"]]


def _listed(items: t.Sequence[str]) -> str:
    return ",".join(item.replace(",", "\\,") for item in items)


def default_owner(hostname: str) -> str:
    """The host's name, and enough of a digest of its machine's id to tell it from another host of that name.

    The id itself is nobody's affair: what is written here can be read by everybody who reads the registry.
    """
    try:
        with open(MACHINE_ID, encoding="ascii") as file:
            machine = file.read().strip()
    except OSError:
        machine = ""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", hostname)[:100]
    return f"{name}-{hashlib.sha256(f'discovery.consul registrator {machine}'.encode()).hexdigest()[:12]}" if machine else name


def problems(options: Json) -> list[str]:
    """Every contradiction, each a sentence with its remedy."""
    found = []
    ttl, refresh = options["ttl"], options["ttl_refresh"]
    if (ttl is None) != (refresh is None):
        found.append("ttl and ttl_refresh go together. Give both or none.")
    elif ttl is not None and ttl <= refresh:
        found.append(f"ttl ({ttl} s) must be greater than ttl_refresh ({refresh} s), or services lapse between two refreshes.")
    if options["retry_interval"] <= 0:
        found.append("retry_interval must be greater than 0.")
    if options["internal"] and options["ip"]:
        found.append("ip has no effect with internal, which registers container addresses. Give one of the two.")
    if options["ip"] and options["address_from"]:
        found.append("ip and address_from both say which address to register. Give one of the two.")
    if options["engine_access"] == PROXY:
        found += [
            f"extra_flags has -{flag}, which the proxy would not know of. Give it as the option {option}."
            for flag, option in (("tags", "tags"), ("useIpFromLabel", "use_ip_from_label"))
            if any(re.match(rf"--?{flag}(=|$)", word) for word in options["extra_flags"])
        ]
    if "://" not in options["registry"]:
        found.append(f"registry '{options['registry']}' is no URI. Write it like consul://127.0.0.1:8500.")
    return found


class Registrator:
    """One Registrator on one engine, with its proxy. `options` are the module's, by name."""

    def __init__(self, engine: Engine, options: Json) -> None:
        self.engine = engine
        self.options = options
        self.name: str = options["container_name"]
        self.folder = Folder(options["config_dir"] or f"/etc/discovery.consul/{self.name}", *numeric_user(options["user"]))
        self.proxy = EngineProxy(engine, options)

    def converge(self, check_mode: bool) -> Result:
        """Bring the containers to the wanted state, or say in check mode what that would take."""
        if self.options["state"] == ABSENT:
            return self._converge_absent(check_mode)
        found = problems(self.options)
        if found:
            raise FlagError(f"Registrator {self.name}: {' '.join(found)}")
        converge.judge_engine(self.engine, self.name)
        recovered = [steps.recover_unfinished(check_mode) for steps in (self.proxy.steps(), self._steps())]
        parts = [self.proxy.part(may_pull=not check_mode), self._part(may_pull=not check_mode)]
        if not self.proxy.is_wanted:
            parts.reverse()  # a proxy goes when nobody asks it any more
        plan = Plans.of(*recovered, *(part.plan for part in parts))
        result = Result(plan, changed=bool(plan.differences))
        if plan.disruptive and not self.options["allow_disruption"]:
            result.pending, result.changed = True, check_mode or any(one.differences for one in recovered)
        elif not check_mode:
            for part in parts:
                if part.plan.differences:
                    part.apply()
        return result

    def _converge_absent(self, check_mode: bool) -> Result:
        plan = Plans.of(converge.plan_removal(self.engine, self.name), self.proxy.plan_removal(), self._plan_folder_removal())
        if plan.differences and not check_mode:
            self._steps().remove_all()
            self.proxy.remove()
            self.folder.remove()
        return Result(plan, changed=bool(plan.differences))

    def _plan_folder_removal(self) -> Plan:
        return Plan((Difference("config_dir", self.folder.path, None, REMOVE),) if self.folder.exists() else ())

    def _part(self, may_pull: bool) -> Part:
        image = converge.find_image(self.engine, self.options["image"], self.options["image_fallback"], may_pull)
        if image is None:
            return Part(converge.plan_unpulled(self.engine, self.name, self.options["image"]), lambda: None)
        wanted = converge.limited(self.engine, self.name, self._wanted(image))
        plan = converge.plan_container(self.engine, self.name, self.options["state"], wanted, image) + self._token_differences()
        return Part(plan, lambda: self._apply(plan, wanted))

    def _wanted(self, image: Json) -> Json:
        wanted = self._container(image).as_container()
        if self.options["hostname"]:
            # It stays in the host's network, where its registry is: only the name is its own.
            wanted["Config"]["Hostname"] = self.options["hostname"]
        return wanted

    def _container(self, image: Json) -> ContainerSpec:
        o = self.options
        is_own = OWN_LABEL in ((image.get("Config") or {}).get("Labels") or {})
        owner = o["owner"] or (default_owner(o["hostname"] or socket.gethostname()) if is_own else None)
        token = [(self.folder.path, TOKEN_DIR, True)] if o["token"] else []
        token_file = {"CONSUL_HTTP_TOKEN_FILE": f"{TOKEN_DIR}/{TOKEN_FILE}"} if o["token"] else {}
        access = self.proxy.access()
        return ContainerSpec.from_options(
            o,
            image=image["Name"],
            entrypoint=(image.get("Config") or {}).get("Entrypoint") or [],
            command=flags(o, owner),
            network=HOST,
            mounts=[*access["mounts"], *token],
            environment={**access["environment"], **o["environment"], **token_file},
            labels={**o["labels"], MADE_LABEL: "container", "discovery.consul.role": "registrator"},
            groups=access["groups"],
        )

    def _token_differences(self) -> list[Difference]:
        if not self.options["token"]:
            return []
        if self.folder.text(TOKEN_FILE) != self.options["token"]:
            return [Difference("token", "(hidden)", "(another one)", WRITE)]  # the program reads the file again by itself
        if not self.folder.well_owned(TOKEN_FILE):
            return [Difference("token.mode", "open to others", f"0600 {self.folder.uid}:{self.folder.gid}", WRITE)]
        return []

    def _apply(self, plan: Plan, wanted: Json) -> None:
        if {CREATE, RECREATE, START} & set(plan.actions):
            converge.check_host(self.engine, self.name, wanted, subnet=None)
        if self.options["token"]:
            self.folder.prepare()
            self.folder.put(TOKEN_FILE, self.options["token"])
        converge.apply(self._steps(), plan, wanted, self.options["state"])

    def _steps(self) -> Container:
        o = self.options
        return Container(self.engine, self.name, self._why_not_ready, self.proxy.undo, stop_timeout=o["stop_timeout"], ready_timeout=o["ready_timeout"])

    def _why_not_ready(self, live: Json) -> str | None:
        return None if LISTENING in said_since_start(self.engine, self.name, live) else "it does not listen for the engine's events yet"
