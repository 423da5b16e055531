# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of the command line: its flag, its type, its default, and which combinations make no sense."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .flags import Flag, UsageError, parse
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
    Flag("cleanup", False, "Remove dangling services that an older Registrator of this host left without a mark"),
)
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
    )


def _refuse_contradictions(values: t.Mapping[str, t.Union[str, int, bool]]) -> None:
    ttl, refresh = int(values["ttl"]), int(values["ttl-refresh"])
    if (ttl > 0) != (refresh > 0):
        raise OptionError("-ttl and -ttl-refresh must be specified together or not at all")
    if ttl > 0 and ttl <= refresh:
        raise OptionError("-ttl must be greater than -ttl-refresh")
    if int(values["retry-interval"]) <= 0:
        raise OptionError("-retry-interval must be greater than 0")
    if values["deregister"] not in ("always", "on-success"):
        raise OptionError('-deregister must be "always" or "on-success"')


def _template(text: str) -> Template:
    try:
        return Template(text)
    except TemplateError as error:
        raise OptionError(f"-tags: {error}") from None
