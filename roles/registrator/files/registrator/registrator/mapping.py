# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an inspected container and the options to the services that should be registered: a pure function."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from . import metadata, names
from .address import Inspected, choose, label
from .checks import check_of
from .metadata import Metadata
from .options import Options
from .service import Health, Service

ENABLE_LABEL, HEALTH_LABEL = "registrator.enable", "registrator.health"
SERVICE_LABELS = ("com.docker.compose.service", "com.docker.swarm.service.name")
HEALTH = {"healthy": "passing", "unhealthy": "critical", "starting": "warning"}
MOST_PORTS, MOST_TAGS, LONGEST_TAG, MOST_WARNINGS = 1000, 100, 255, 100
SHOWN = 150  # characters of what a container says, in a warning
NOT_META = ("id", "tags", "name")
META_KEY_BYTES, META_VALUE_BYTES, META_PAIRS = 128, 512, 63  # Consul's limits, one pair kept for our mark
UNFIT_FOR_META = re.compile(r"[^A-Za-z0-9_-]")


class Here(t.NamedTuple):
    """The machine that the containers run on: its name, which ids begin with, and the address of published ports."""

    hostname: str
    address: str


@dataclass(frozen=True)
class Mapped:
    """The services of one container, why ports have none (``ignored``), and what the user should put right."""

    services: t.Tuple[Service, ...] = ()
    ignored: t.Tuple[str, ...] = ()
    warnings: t.Tuple[str, ...] = ()


class _Port(t.NamedTuple):
    number: str
    protocol: str
    host_ip: str
    host_port: str


def services_of(container: Inspected, options: Options, here: Here, owner: t.Optional[Inspected] = None) -> Mapped:
    """Return what should be registered of a container, given as the engine's inspect answers it.

    ``owner`` is the container whose network it shares, where there is one. Raises TemplateError when ``-tags`` cannot
    be filled in; any metadata of the container gives services or warnings, never an exception.
    """
    if not _is_wanted(container, options):
        return Mapped(ignored=("not enabled by its label",))
    ports = _ports(container)
    if not ports:
        return Mapped(ignored=("no published ports",))
    eligible = [port for port in ports if options.internal or port.host_port]
    unpublished = [f"port {port.number} not published on host" for port in ports if not (options.internal or port.host_port)]
    if not eligible:
        return Mapped(ignored=tuple(unpublished))
    mapper = _Mapper(container, options, here, owner, is_group=len(eligible) > 1)
    for port in eligible[:MOST_PORTS]:
        mapper.add(port)
    if len(eligible) > MOST_PORTS:
        mapper.warn(f"{len(eligible)} ports: only the first {MOST_PORTS} are registered")
    mapper.warn_of_equal_ids()
    return Mapped(tuple(mapper.services), (*unpublished, *mapper.ignored), tuple(mapper.warnings))


class _Mapper:
    """Maps the ports of one container, one after the other; the attributes are what has come of it so far."""

    def __init__(self, container: Inspected, options: Options, here: Here, owner: t.Optional[Inspected], is_group: bool) -> None:
        self.container, self.options, self.here, self.owner, self.is_group = container, options, here, owner, is_group
        self.services: t.List[Service] = []
        self.ignored: t.List[str] = []
        self.warnings: t.List[str] = []
        self._config = container.get("Config") or {}
        self._found, left_out = metadata.pairs(self._config.get("Env") or (), self._config.get("Labels") or {})
        self._extra_tags = metadata.split_list(options.tags.render(container))
        for warning in left_out:
            self.warn(warning)

    def warn(self, warning: str) -> None:
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(warning)

    def add(self, port: _Port) -> None:
        """Map one port."""
        values = metadata.for_port(self._found, port.number, port.protocol)
        if values.get("ignore") or (self.options.explicit and not values.get("name")):
            self.ignored.append(f"service on port {port.number}")
            return
        name, service_id = self._name(port, values), values.get("id") or self._default_id(port)
        refusal = self._refusal(name, service_id, values)
        if refusal:
            self.warn(f"port {port.number}: {refusal}: the port is not registered")
            return
        options = self.options
        chosen = choose(
            self.container, self.owner, port.host_ip, internal=options.internal, ip=options.ip, ip_label=options.ip_label, host_address=self.here.address
        )
        container_id = str(self.container.get("Id") or "")
        number = _number(port.number if options.internal else port.host_port)
        check, check_warnings = check_of(values, chosen.address, number, container_id, port.number, options.script_checks)
        meta, meta_warnings = _meta(values)
        tags, tag_warnings = _tags(values, self._extra_tags, port.protocol)
        for text in (*chosen.warnings, *check_warnings, *meta_warnings, *tag_warnings):
            self.warn(f"port {port.number}: {text}")
        service = Service(
            id=service_id,
            name=name,
            address=chosen.address,
            port=number,
            container=container_id,
            tags=tags,
            meta=meta,
            check=check,
            health=_health(self.container, options),
            private_port=_number(port.number),
            container_hostname=str(self._config.get("Hostname") or ""),
            is_id_chosen=bool(values.get("id")),
        )
        self.services.append(service)

    def warn_of_equal_ids(self) -> None:
        ids = [service.id for service in self.services]
        if len(set(ids)) == len(ids):
            return
        for service_id in sorted({one for one in ids if ids.count(one) > 1}):
            self.warn(f"SERVICE_ID={service_id} is the id of several ports: each overwrites the one before, give each port its own")

    def _refusal(self, name: str, service_id: str, values: Metadata) -> str:
        """Return why a service of this name and id is not registered; an empty string when it is."""
        for key, text in (("ID", service_id), ("NAME", name)):
            reason = names.unfit(text)
            if reason:
                source = f"SERVICE_{key}" if values.get(key.lower()) else f"its default {key.lower()}"
                return f"{source}={text[:SHOWN]!r} {reason}"
        if name == names.OF_SERVERS and self.options.registry.partition(":")[0] in names.AGENT_SCHEMES:
            return f"the name {name!r} is that of Consul's servers, give another one with SERVICE_NAME"
        return "" if names.is_allowed(name, self.options.allowed_names) else f"the name {name!r} is none of -allowed-names"

    def _name(self, port: _Port, values: Metadata) -> str:
        name = values.get("name") or _default_name(self.container, self.options.name_from)
        is_for_this_port = values.get("name") and "name" in values.for_port
        return name if is_for_this_port or not self.is_group else f"{name}-{port.number}"

    def _default_id(self, port: _Port) -> str:
        parts = [self.here.hostname or port.host_ip, _container_name(self.container), port.number]
        return ":".join(parts + ["udp"] * (port.protocol == "udp"))


def _is_wanted(container: Inspected, options: Options) -> bool:
    enabled = label(container, ENABLE_LABEL).lower()
    return enabled == "true" if options.opt_in else enabled != "false"


def _ports(container: Inspected) -> t.List[_Port]:
    """Return every port that the container has, published or not, each with its first binding."""
    exposed = (container.get("Config") or {}).get("ExposedPorts") or {}
    bindings: t.Dict[str, t.Tuple[str, str]] = {port: ("0.0.0.0", port.partition("/")[0]) for port in exposed}
    for port, bound in ((container.get("NetworkSettings") or {}).get("Ports") or {}).items():
        first = bound[0] if bound else {}
        bindings[port] = (first.get("HostIp") or "", first.get("HostPort") or "")
    ports = []
    for port in sorted(bindings):
        number, _slash, protocol = port.partition("/")
        ports.append(_Port(number, protocol or "tcp", *bindings[port]))
    return ports


def _container_name(container: Inspected) -> str:
    return str(container.get("Name") or "").lstrip("/")


def _default_name(container: Inspected, source: str) -> str:
    """Return the name from where ``-name-from`` says; the container's name where that gives none.

    From an image it is the image's name without registry, tag and digest.
    """
    if source != "image":
        labels = [label(container, name) for name in SERVICE_LABELS] if source == "service" else []
        return next((name for name in labels if name), "") or _container_name(container)
    image = str((container.get("Config") or {}).get("Image") or "")
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    identifier = str(container.get("Image") or "").rpartition(":")[2]
    is_identifier = image.startswith("sha256:") or (len(image) >= 12 and identifier.startswith(image))
    if name and not is_identifier:
        return name
    return _container_name(container) or str(container.get("Id") or "")[:12]


def _health(container: Inspected, options: Options) -> t.Optional[Health]:
    """Return what the engine says of the container's health; None when it says nothing or nobody asked."""
    asked = label(container, HEALTH_LABEL).lower()
    if asked == "false" or not (options.health_checks or asked == "true"):
        return None
    state = container.get("State") or {}
    if state.get("Paused"):
        return Health("critical", "the container is paused")
    status = str((state.get("Health") or {}).get("Status") or "none")
    # What the check printed stays with the engine: it may say more than those may know who read the registry.
    return None if status == "none" else Health(HEALTH.get(status, "critical"), f"Docker: {status}")


def _number(text: str) -> int:
    """Return a port's number; 0 for what is none."""
    return int(text) if re.match(r"[0-9]{1,5}\Z", text) and int(text) < 65536 else 0


def _tags(values: Metadata, extra: t.Sequence[str], protocol: str) -> t.Tuple[t.Tuple[str, ...], t.List[str]]:
    """Return the container's own tags, then the extra ones, then ``udp``; and a warning for what is left out."""
    own = metadata.split_list(values.get("tags"))
    fit = [tag for tag in own if len(tag) <= LONGEST_TAG][:MOST_TAGS]
    warnings = [f"SERVICE_TAGS has more than {MOST_TAGS} tags, or one of more than {LONGEST_TAG} characters: left out"] * (fit != own)
    return (*fit, *extra, *["udp"] * (protocol == "udp")), warnings


def _meta(values: Metadata) -> t.Tuple[t.Dict[str, str], t.List[str]]:
    """Return the metadata that nothing else uses, as Consul takes it, and a warning for each key that it would refuse."""
    meta: t.Dict[str, str] = {}
    warnings = []
    for key, value in values.values.items():
        if key in NOT_META or key.startswith("check_"):
            continue
        fit = UNFIT_FOR_META.sub("_", key)
        shown = f"SERVICE_{key[:SHOWN].upper()}"
        if not fit or fit in meta or len(fit) > META_KEY_BYTES or fit.startswith("consul-") or fit.startswith("check_"):
            warnings.append(f"{shown} cannot be a key of Consul's meta data: left out")
        elif len(value.encode()) > META_VALUE_BYTES:
            warnings.append(f"{shown} is longer than {META_VALUE_BYTES} bytes: left out of the meta data")
        elif len(meta) == META_PAIRS:
            warnings.append(f"{shown} is one too many: Consul takes {META_PAIRS} keys of meta data")
        else:
            if fit != key:
                warnings.append(f"{shown} is written as {fit}: Consul takes letters, digits, _ and - only")
            meta[fit] = value
    return meta, warnings
