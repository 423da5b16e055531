# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Services that an inventory declares for a node, as Consul's own objects: judged before anything is touched, and given their token.

Each judgement is a sentence that names the service and the key. No value of a token, a header or a script is in it.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from urllib.parse import urlsplit

Json = t.Dict[str, t.Any]

OWN = "consul"
"""The service that servers register of themselves."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_META_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LOOPBACK = re.compile(r"(?:^|//)(localhost|127\.[0-9.]+|\[?::1\]?)(?:[:/]|$)")

LONGEST = 512
META_AT_MOST = 64

NAME_WORDS = "up to 63 lower-case letters, digits, dashes and underscores, and begin and end with a letter or a digit"

# What a value may be, by kind: a judgement, and the words of the remedy.
Judgement = t.Callable[[t.Any], bool]


def is_text(value: t.Any) -> bool:
    """One line that is not empty and can be shown."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST and not _UNSEEN.search(value)


def _is_number(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_port(value: t.Any) -> bool:
    return _is_number(value) and value <= 65535


def is_texts(value: t.Any) -> bool:
    return isinstance(value, list) and all(is_text(one) for one in value)


def is_address(value: t.Any) -> bool:
    """An address or a name of a host, but none that stands for all addresses of a host."""
    if not isinstance(value, str):
        return False
    try:
        return not ipaddress.ip_address(value).is_unspecified
    except ValueError:
        return _HOST.fullmatch(value) is not None and not re.fullmatch(r"[0-9.]+", value)


def is_duration(value: t.Any) -> bool:
    return isinstance(value, str) and _DURATION.fullmatch(value) is not None


def is_meta(value: t.Any) -> bool:
    """Keys and values, as Consul takes them of nodes and services."""
    return (
        isinstance(value, dict)
        and len(value) <= META_AT_MOST
        and all(isinstance(key, str) and _META_KEY.fullmatch(key) and isinstance(one, str) and len(one) <= LONGEST for key, one in value.items())
        and not any(_UNSEEN.search(one) for one in value.values())
    )


def _is_endpoint(value: t.Any) -> bool:
    """`host:port`, with a path behind it for gRPC."""
    return is_text(value) and re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}(/[A-Za-z0-9._-]*)?", value) is not None


def _is_url(value: t.Any) -> bool:
    if not is_text(value) or " " in value:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False


def _is_weights(value: t.Any) -> bool:
    return isinstance(value, dict) and set(value) <= {"passing", "warning"} and all(_is_number(one) for one in value.values())


def _is_tagged(value: t.Any) -> bool:
    return isinstance(value, dict) and all(
        is_text(name) and isinstance(one, dict) and set(one) <= {"address", "port"} and is_address(one.get("address")) and is_port(one.get("port", 0))
        for name, one in value.items()
    )


def _is_header(value: t.Any) -> bool:
    return isinstance(value, dict) and all(is_text(name) and is_texts(ones) for name, ones in value.items())


TEXT = (is_text, f"a text of one line, up to {LONGEST} characters")
SWITCH = (lambda value: isinstance(value, bool), "true or false")
NUMBER = (_is_number, "a whole number")
DURATION = (is_duration, "a duration, like 10s or 1m30s")
ENDPOINT = (_is_endpoint, "a host and a port, like 10.0.0.7:5432")
TEXTS = (is_texts, "a list of texts of one line each")

SERVICE_KEYS: dict[str, tuple[Judgement, str]] = {
    "address": (is_address, "an address or a name of a host, and none that stands for all addresses"),
    "checks": (lambda value: isinstance(value, list), "a list of checks"),
    "enable_tag_override": SWITCH,
    "id": (lambda value: isinstance(value, str) and bool(_ID.fullmatch(value)), "up to 128 letters, digits, dots, colons, dashes and underscores"),
    "meta": (is_meta, f"up to {META_AT_MOST} keys of letters, digits, dashes and underscores, with texts, so put numbers in quotes"),
    "name": (lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)), NAME_WORDS),
    "port": (is_port, "a number from 0 to 65535"),
    "tagged_addresses": (_is_tagged, "names, each with an address and perhaps a port"),
    "tags": TEXTS,
    "token": (lambda value: isinstance(value, str) and bool(_UUID.fullmatch(value)), "a UUID"),
    "weights": (_is_weights, "whole numbers for passing and warning"),
}
CHECK_KEYS: dict[str, tuple[Judgement, str]] = {
    "alias_node": TEXT,
    "alias_service": TEXT,
    "args": TEXTS,
    "body": (lambda value: isinstance(value, str), "a text"),
    "disable_redirects": SWITCH,
    "docker_container_id": TEXT,
    "failures_before_critical": NUMBER,
    "failures_before_warning": NUMBER,
    "grpc": ENDPOINT,
    "grpc_use_tls": SWITCH,
    "h2ping": ENDPOINT,
    "h2ping_use_tls": SWITCH,
    "header": (_is_header, "names of headers, each with a list of values"),
    "http": (_is_url, "a URL that begins with http:// or https://, without a user or a password, which belong into header"),
    "id": SERVICE_KEYS["id"],
    "interval": DURATION,
    "method": (lambda value: value in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"), "a method of HTTP"),
    "name": TEXT,
    "notes": TEXT,
    "os_service": TEXT,
    "output_max_size": NUMBER,
    "shell": TEXT,
    "status": (lambda value: value in ("passing", "warning", "critical"), "passing, warning or critical"),
    "success_before_passing": NUMBER,
    "tcp": ENDPOINT,
    "tcp_use_tls": SWITCH,
    "timeout": DURATION,
    "tls_server_name": TEXT,
    "tls_skip_verify": SWITCH,
    "ttl": DURATION,
    "udp": ENDPOINT,
}
"""Keys of Consul's objects in a configuration. Which release knows which of them is `consul validate`'s to say. Two are left out on purpose:
what belongs to a mesh, and `deregister_critical_service_after`, which would take away what the inventory declares."""

KINDS = ("alias", "args", "grpc", "h2ping", "http", "os_service", "tcp", "ttl", "udp")
WITHOUT_INTERVAL = ("alias", "ttl")
SECRET_KEYS = ("args", "header", "token")
"""No value of these is shown in a sentence."""


def service_id(service: Json) -> str:
    """What tells a service from the others of its node."""
    return str(service.get("id") or service.get("name") or "")


def problems(services: t.Sequence[t.Any], scripts: bool) -> t.Iterator[str]:
    """Every reason why these services cannot be declared; `scripts` says whether the agent runs checks that are programs."""
    ids: set[str] = set()
    check_ids: set[str] = set()
    for number, one in enumerate(services, 1):
        if not isinstance(one, dict):
            yield f"Service {number} of the list is no dictionary of Consul's keys. Write it like {{name: db, port: 5432}}."
            continue
        service = given(one)
        label = _label(service, number)
        if "name" not in service:
            yield f"{label} has no name. Give it one of {NAME_WORDS}."
        yield from _wrong_values(label, service, SERVICE_KEYS)
        ident = service_id(service)
        if OWN in (ident, service.get("name")):
            yield f"{label} has the name or id {OWN}, which the servers have themselves. Give it another one."
        if ident and ident in ids:
            yield f"{label} has the same id as another service of the node. Give each an id of its own."
        ids.add(ident)
        checks = service.get("checks")
        for place, check in enumerate(checks if isinstance(checks, list) else [], 1):
            yield from _check_problems(f"{label}, check {place},", check, scripts, check_ids)


def warnings(services: t.Sequence[Json], own_network: bool) -> t.Iterator[str]:
    """A check is run by the agent, so in a container's own network loopback is the container and not its host."""
    for service in services if own_network else ():
        checks = service.get("checks")
        for check in (one for one in (checks if isinstance(checks, list) else []) if isinstance(one, dict)):
            where = next((check[kind] for kind in ("grpc", "h2ping", "http", "tcp", "udp") if is_text(check.get(kind))), "")
            if _LOOPBACK.search(where):
                yield (
                    f"A check of the service {service_id(service)} asks {where}. The agent runs in a container's own network, where that is the "
                    "container itself. Give an address at which the container reaches the service."
                )


def written(services: t.Sequence[Json], token: str | None) -> list[Json]:
    """The services as they go into the configuration, each with its token."""
    return [{**given(one), **({"token": one.get("token") or token} if one.get("token") or token else {})} for one in services]


def by_id(config: Json) -> Json:
    """A configuration whose list of services is a dictionary by their ids, so that two can be compared service by service."""
    services = config.get("services")
    if not isinstance(services, list) or not all(isinstance(one, dict) for one in services):
        return config
    named = {service_id(one): one for one in services}
    return {**config, "services": named} if len(named) == len(services) else config


def ids(config: Json) -> set[str]:
    """The ids of the services in a configuration."""
    services = config.get("services")
    return {service_id(one) for one in services if isinstance(one, dict)} if isinstance(services, list) else set()


def given(value: t.Any) -> t.Any:
    """The value without what is null, which stands for what is not given."""
    if isinstance(value, dict):
        return {key: given(one) for key, one in value.items() if one is not None}
    return [given(one) for one in value] if isinstance(value, list) else value


def wrong_value(label: str, key: str, value: t.Any, words: str) -> str:
    seen = "" if key in SECRET_KEYS else f" {shown(value)}"
    return f"{label} has the {key}{seen}, which it cannot have. It must be {words}."


def unknown_key(label: str, key: t.Any, known: t.Iterable[str]) -> str:
    return f"{label} has the key {shown(key)}, which cannot be declared. The keys are {', '.join(sorted(known))}."


def shown(value: t.Any) -> str:
    """A value in a sentence: short, and on one line whatever is in it."""
    text = ascii(value) if not is_text(value) else f"'{value}'"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _label(service: Json, number: int) -> str:
    name = service.get("id") or service.get("name")
    return f"The service {name}" if isinstance(name, str) and _ID.fullmatch(name) else f"Service {number} of the list"


def _wrong_values(label: str, found: Json, known: t.Mapping[str, tuple[Judgement, str]]) -> t.Iterator[str]:
    for key, value in found.items():
        if key not in known:
            yield unknown_key(label, key, known)
        elif not known[key][0](value):
            yield wrong_value(label, key, value, known[key][1])


def _check_problems(label: str, check: t.Any, scripts: bool, others: set[str]) -> t.Iterator[str]:
    if not isinstance(check, dict):
        yield f"{label} is no dictionary of Consul's keys. Write it like {{tcp: '10.0.0.7:5432', interval: 10s}}."
        return
    yield from _wrong_values(label, check, CHECK_KEYS)
    kinds = [kind for kind in KINDS if kind in check or (kind == "alias" and ("alias_node" in check or "alias_service" in check))]
    if len(kinds) != 1:
        said = f"is of {len(kinds)} kinds ({', '.join(kinds)})" if kinds else "is of no kind"
        yield f"{label} {said}. Give exactly one of {', '.join(kind if kind != 'alias' else 'alias_service' for kind in KINDS)}."
    elif kinds[0] not in WITHOUT_INTERVAL and "interval" not in check:
        yield f"{label} has no interval. Say how often it is run, like 10s."
    if ("args" in check or "docker_container_id" in check) and not scripts:
        yield f"{label} runs a program, which the agent refuses. Set enable_local_script_checks, or check in another way."
    ident = check.get("id")
    if isinstance(ident, str) and ident:
        if ident in others:
            yield f"{label} has the id of another check of the node. Give each an id of its own, or none."
        others.add(ident)
