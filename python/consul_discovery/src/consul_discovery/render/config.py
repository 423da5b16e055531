# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""The file that says what is rendered: TOML, judged before anything is started."""

from __future__ import annotations

import math
import pathlib
import sys
import typing as t
from dataclasses import dataclass, field

from ..errors import ConfigurationError
from ..follower import CONFIRM, EMPTY_POLICIES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

AGENT_OPTIONS = ("url", "token_file", "ca_file", "client_cert", "client_key", "tls_server_name", "datacenter", "cache_file")


@dataclass(frozen=True)
class Service:
    """What a template knows under one name."""

    service: str
    tags: t.Tuple[str, ...] = ()
    warning: bool = False
    empty: str = CONFIRM


@dataclass(frozen=True)
class Template:
    source: pathlib.Path
    target: pathlib.Path
    services: t.Mapping[str, Service]
    owner: t.Optional[str] = None
    group: t.Optional[str] = None
    mode: int = 0o644
    check: t.Tuple[str, ...] = ()
    reload: t.Tuple[str, ...] = ()
    timeout: float = 30.0
    """How many seconds a command may take."""
    quiet_min: float = 0.2
    quiet_max: float = 2.0


@dataclass(frozen=True)
class Config:
    agent: t.Mapping[str, str] = field(default_factory=dict)
    templates: t.Tuple[Template, ...] = ()


def read(path: pathlib.Path) -> Config:
    """Raises ``ConfigurationError``, which names the place."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    table = _Table(document, str(path))
    agent = table.table("agent")
    options = {name: value for name in AGENT_OPTIONS if (value := agent.text(name)) is not None}
    agent.end()
    found = table.value("template", list, [])
    templates = tuple(_template(_Table(one, f"{path}, template {number}"), path.parent) for number, one in enumerate(found, 1))
    table.end()
    if not templates:
        raise ConfigurationError(f"{path} holds no [[template]]")
    targets = [one.target for one in templates]
    if len(set(targets)) < len(targets):
        raise ConfigurationError(f"{path}: two templates have the same target")
    return Config(options, templates)


def _template(table: _Table, folder: pathlib.Path) -> Template:
    source, target = table.text("source"), table.text("target")
    if not source or not target or not pathlib.PurePath(target).is_absolute():
        raise ConfigurationError(f"{table.place}: source and an absolute target are needed")
    table.place = f"{table.place} ({target})"
    quiet = table.table("quiet")
    services = table.table("services")
    template = Template(
        source=folder / source,
        target=pathlib.Path(target),
        services={name: _service(services.table(name), name) for name in list(services.content)},
        owner=table.text("owner"),
        group=table.text("group"),
        mode=_mode(table),
        check=table.words("check"),
        reload=table.words("reload"),
        timeout=table.seconds("timeout", Template.timeout),
        quiet_min=quiet.seconds("min", Template.quiet_min),
        quiet_max=quiet.seconds("max", Template.quiet_max),
    )
    for one in (quiet, services, table):
        one.end()
    if template.quiet_min > template.quiet_max:
        raise ConfigurationError(f"{table.place}: quiet.min is more than quiet.max")
    if not template.services:
        raise ConfigurationError(f"{table.place}: no service is named; write [template.services.NAME]")
    return template


def _service(table: _Table, name: str) -> Service:
    if not name.isidentifier():
        raise ConfigurationError(f"{table.place}: a template cannot name it; write letters, digits and _")
    found = Service(table.text("service") or name, table.words("tags"), table.value("warning", bool, False), table.text("empty") or CONFIRM)
    table.end()
    if found.empty not in EMPTY_POLICIES:
        raise ConfigurationError(f"{table.place}: empty must be one of {', '.join(EMPTY_POLICIES)}")
    return found


def _mode(table: _Table) -> int:
    text = table.text("mode") or "0644"
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ConfigurationError(f'{table.place}: mode is text like "0644", not {text!r}')
    return mode


class _Table:
    """Takes values out, and complains of what is left."""

    def __init__(self, content: t.Any, place: str) -> None:
        if not isinstance(content, dict):
            raise ConfigurationError(f"{place} must be a table")
        self.content, self.place = dict(content), place

    def value(self, name: str, kind: t.Union[t.Type[t.Any], t.Tuple[t.Type[t.Any], ...]], default: t.Any) -> t.Any:
        found = self.content.pop(name, default)
        if found is not default and not isinstance(found, kind):
            raise ConfigurationError(f"{self.place}: {name} is of the wrong type, {type(found).__name__}")
        return found

    def text(self, name: str) -> t.Optional[str]:
        return t.cast(t.Optional[str], self.value(name, str, None))

    def words(self, name: str) -> t.Tuple[str, ...]:
        found = self.value(name, list, [])
        if not all(isinstance(word, str) for word in found):
            raise ConfigurationError(f"{self.place}: {name} is a list of words; there is no shell")
        return tuple(found)

    def seconds(self, name: str, default: float) -> float:
        found = self.value(name, (int, float), default)
        if isinstance(found, bool) or not 0 <= found < math.inf:
            raise ConfigurationError(f"{self.place}: {name} is a number of seconds")
        return float(found)

    def table(self, name: str) -> _Table:
        return _Table(self.content.pop(name, {}), f"{self.place}, {name}")

    def end(self) -> None:
        if self.content:
            raise ConfigurationError(f"{self.place}: unknown: {', '.join(sorted(self.content))}")
