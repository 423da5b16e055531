# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of the command line: its flag, its type, its default, and which combinations make no sense."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .flags import Flag, UsageError, parse
from .metadata import split_list
from .template import Template, TemplateError

FLAGS = (
    Flag("ip", "", "IP for ports mapped to the host"),
    Flag("internal", False, "Use internal ports instead of published ones"),
    Flag("explicit", False, "Only register containers which have SERVICE_NAME label or environment set"),
    Flag("useIpFromLabel", "", "Use IP which is stored in a label assigned to the container"),
    Flag("tags", "", "Append tags for all registered services (supports Go template)"),
    Flag("ttl", 0, "TTL for services, in seconds (default is no expiry)"),
    Flag("ttl-refresh", 0, "Frequency with which service TTLs are refreshed, in seconds"),
    Flag("resync", 0, "Frequency with which every container is looked at again, in seconds"),
    Flag("deregister", "always", 'Deregister exited services "always" or "on-success"'),
    Flag("retry-attempts", 0, "Max retry attempts to establish a connection with the backend. Use -1 for infinite retries"),
    Flag("retry-interval", 2000, "Interval (in millisecond) between retry-attempts"),
    Flag("address-from", "", "Interface or CIDR whose address ports mapped to the host are registered with, when -ip is not given"),
    Flag("opt-in", False, "Only register containers with the label registrator.enable=true"),
    Flag("name-from", "image", 'Default name from the "image", the "container", or the Compose or Swarm "service"'),
    Flag("health-checks", False, "Carry Docker's HEALTHCHECK state, and pauses, into a check of each service"),
    Flag("health-ttl", 60, "Seconds after which such a check turns critical when nobody renews it"),
    Flag("on-exit", "keep", 'What becomes of services when Registrator ends: "keep", "maintenance" or "deregister"'),
    Flag("on-container-stop", "wait", 'When a container is told to stop: "wait" for its end, "maintenance" or "deregister" at once'),
    Flag("listen", "", "Address and port for /health and /metrics, such as 127.0.0.1:9810 (default is none)"),
    Flag("log-format", "text", 'Log lines as "text" or "json"'),
    Flag("owner", "", "Name of this Registrator in what it writes, no other's on the same registry (default is the host's name)"),
    Flag("allowed-names", "", "Patterns, such as app-*,web, that the names of services must match (default is any name)"),
    Flag("script-checks", False, "Let containers give Consul programs to run as checks, by SERVICE_CHECK_SCRIPT and SERVICE_CHECK_CMD"),
    Flag("cleanup", False, "Remove dangling services that an older Registrator of this host left without a mark"),
)
CHOICES = {
    "deregister": ("always", "on-success"),
    "name-from": ("image", "container", "service"),
    "on-exit": ("keep", "maintenance", "deregister"),
    "on-container-stop": ("wait", "maintenance", "deregister"),
    "log-format": ("text", "json"),
}
OWNER = re.compile(r"[A-Za-z0-9._:-]{0,128}")
NO_TAGS = Template("")


class OptionError(Exception):
    """Options that can be read but make no sense. The message is one line for the user."""


@dataclass(frozen=True)
class Options:
    """What the user asked for. Times are seconds."""

    registry: str = ""
    ip: str = ""
    internal: bool = False
    explicit: bool = False
    ip_label: str = ""
    tags: Template = NO_TAGS
    ttl: int = 0
    ttl_refresh: int = 0
    resync: int = 0
    deregister: str = "always"
    retry_attempts: int = 0
    retry_interval: float = 2.0
    cleanup: bool = False
    address_from: str = ""
    opt_in: bool = False
    name_from: str = "image"
    health_checks: bool = False
    health_ttl: int = 60
    on_exit: str = "keep"
    on_container_stop: str = "wait"
    listen: str = ""
    log_format: str = "text"
    owner: str = ""
    allowed_names: t.Tuple[str, ...] = ()
    script_checks: bool = False


def from_command_line(arguments: t.Sequence[str]) -> Options:
    """Return the options. Raises UsageError, OptionError or flags.HelpRequested."""
    values, rest = parse(FLAGS, arguments)
    if not rest:
        raise UsageError("Missing required argument for registry URI.")
    if len(rest) > 1:
        extra = "\n".join(f"  {word}" for word in rest)
        raise UsageError(f"Extra unparsed arguments:\n{extra}\nOptions should come before the registry URI argument.\n")
    _refuse_contradictions(values)
    return Options(
        registry=rest[0],
        ip=str(values["ip"]),
        internal=bool(values["internal"]),
        explicit=bool(values["explicit"]),
        ip_label=str(values["useIpFromLabel"]),
        tags=_template(str(values["tags"])),
        ttl=int(values["ttl"]),
        ttl_refresh=int(values["ttl-refresh"]),
        resync=int(values["resync"]),
        deregister=str(values["deregister"]),
        retry_attempts=int(values["retry-attempts"]),
        retry_interval=int(values["retry-interval"]) / 1000,
        cleanup=bool(values["cleanup"]),
        address_from=str(values["address-from"]),
        opt_in=bool(values["opt-in"]),
        name_from=str(values["name-from"]),
        health_checks=bool(values["health-checks"]),
        health_ttl=int(values["health-ttl"]),
        on_exit=str(values["on-exit"]),
        on_container_stop=str(values["on-container-stop"]),
        listen=str(values["listen"]),
        log_format=str(values["log-format"]),
        owner=str(values["owner"]),
        allowed_names=tuple(split_list(str(values["allowed-names"]))),
        script_checks=bool(values["script-checks"]),
    )


def _refuse_contradictions(values: t.Mapping[str, t.Union[str, int, bool]]) -> None:
    ttl, refresh = int(values["ttl"]), int(values["ttl-refresh"])
    if (ttl > 0) != (refresh > 0):
        raise OptionError("-ttl and -ttl-refresh must be specified together or not at all")
    if ttl > 0 and ttl <= refresh:
        raise OptionError("-ttl must be greater than -ttl-refresh")
    if int(values["retry-interval"]) <= 0:
        raise OptionError("-retry-interval must be greater than 0")
    port = re.search(r":([0-9]{1,5})\Z", str(values["listen"]))
    if values["listen"] and not (port and int(port[1]) < 65536):
        raise OptionError("-listen must be an address and a port, such as 127.0.0.1:9810")
    if not OWNER.fullmatch(str(values["owner"])):
        raise OptionError("-owner must be at most 128 letters, digits and . _ - : signs")
    if int(values["health-ttl"]) < 5:
        raise OptionError("-health-ttl must be at least 5")
    for flag, words in CHOICES.items():
        if values[flag] not in words:
            quoted = [f'"{word}"' for word in words]
            raise OptionError(f"-{flag} must be {', '.join(quoted[:-1])} or {quoted[-1]}")


def _template(text: str) -> Template:
    try:
        return Template(text)
    except TemplateError as error:
        raise OptionError(f"-tags: {error}") from None
