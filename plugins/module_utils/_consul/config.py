# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""One Consul agent's configuration: built as data from typed options for one release, never as text.

`build` gives the dictionary that is written as JSON; `problems` and `warnings` judge the options before anything is
touched; `changes` compares two configurations key by key.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
import uuid

from ansible_collections.discovery.consul.plugins.module_utils._consul import declared, versions
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import RELOAD, RESTART, WRITE, Difference
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import HOST

Json = t.Dict[str, t.Any]

HIDDEN = "(hidden)"

SECRET = re.compile(
    r"(^|\.)(encrypt|acl\.tokens\..+|token|.*(password|secret|_token|license).*|header\.(?i:.*(authorization|cookie|token|key|secret|password).*))$"
)
HIDDEN_KEYS = ("header", "token")
"""What is hidden in a list, of which the whole is shown."""
_NODE_NAME = re.compile(r"^[A-Za-z0-9-]+$")
_GO_DURATION = re.compile(r"^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$")


class ConfigError(OperatorError):
    """Options that cannot become a configuration; the text says which, why, and what to give instead."""


def build(options: Json, extra: Json, version: versions.Version) -> Json:
    """The configuration for `version`: every option that is set, then `extra` merged over it, key by key."""
    config: Json = {}
    for option, value in options.items():
        if value is None or value in ([], {}, ""):
            continue
        path = versions.written_as(option, version)
        if path is None:
            since = min(key.since for key in versions.OPTIONS[option])
            raise ConfigError(
                f"The option {option} needs Consul {versions.show(since)}, and the image has {versions.show(version)}. Leave it out or use a newer image."
            )
        _set(config, path, value)
    for path in sorted(flatten(extra)):
        reason = versions.refused(path, version)
        if reason:
            raise ConfigError(f"extra_config has the key {path}, but {reason}. Leave it out or use a newer image.")
    return merge(config, extra)


def merge(below: Json, above: Json) -> Json:
    """Both dictionaries as one; where both have a key, dictionaries are merged and anything else is taken from `above`."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def flatten(config: Json, prefix: str = "") -> Json:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; lists and empty dictionaries count as values."""
    flat: Json = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def changes(current: Json, wanted: Json, is_member: bool = True) -> list[Difference]:
    """What differs between two configurations, and what the agent needs to take it over. Secrets are not shown."""
    have, want = flatten(declared.by_id(current)), flatten(declared.by_id(wanted))
    different = [path for path in sorted({*have, *want}) if have.get(path) != want.get(path)]
    return [Difference(f"config.{path}", _shown(path, have.get(path)), _shown(path, want.get(path)), _needs(path, have, is_member)) for path in different]


def is_below(path: str, keys: t.Iterable[str]) -> bool:
    """Whether a dotted key is one of `keys`, or in one of them."""
    return any(path == key or path.startswith(key + ".") for key in keys)


def secrets(config: Json) -> set[str]:
    """The values in `config` that must never be printed."""
    return {value for path, value in _leaves(config) if SECRET.search(path) and isinstance(value, str) and value}


def _leaves(value: t.Any, path: str = "") -> t.Iterator[tuple[str, t.Any]]:
    """Every single value with its dotted key; what is in a list has the key of the list."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, path)
    else:
        yield path, value


def problems(options: Json) -> list[str]:
    """Every reason why these options make no working agent, each a sentence with its remedy."""
    checks = (_bootstrap_problems, _name_problems, _address_problems, _other_problems)
    return [problem for check in checks for problem in check(options)]


def warnings(options: Json) -> list[str]:
    """What works, but is better done otherwise."""
    found = []
    expect = options.get("bootstrap_expect")
    if options.get("server") and (options.get("bootstrap") or expect == 1):
        found.append("One server alone has no redundancy: when it fails, nothing can be written. Use three or five servers where that matters.")
    elif expect and expect % 2 == 0:
        found.append(f"bootstrap_expect is {expect}: an even number of servers bears no more failures than {expect - 1}. Use an odd number.")
    if options.get("server") and options.get("leave_on_terminate"):
        found.append(
            "leave_on_terminate makes each stop of this server shrink the cluster: stopping two of three leaves one voter alone. Leave it off on servers."
        )
    return [*found, *declared.warnings(options.get("services") or [], (options.get("network") or HOST) != HOST)]


def _bootstrap_problems(options: Json) -> t.Iterator[str]:
    expect = options.get("bootstrap_expect")
    if options.get("bootstrap") and expect:
        yield "bootstrap and bootstrap_expect contradict each other. Give bootstrap_expect alone."
    if (options.get("bootstrap") or expect) and not options.get("server"):
        yield "bootstrap and bootstrap_expect are for servers, and this node is a client. Leave them out, or set server: true."
    if expect is not None and expect < 0:
        yield f"bootstrap_expect is {expect}; it must be the number of servers."


def _name_problems(options: Json) -> t.Iterator[str]:
    name = options.get("node_name") or ""
    if not _NODE_NAME.match(name):
        yield f"The node name '{name}' cannot be resolved by DNS. Use letters, digits and dashes only."
    node_id = options.get("node_id")
    if node_id:
        try:
            uuid.UUID(node_id)
        except ValueError:
            yield f"node_id '{node_id}' is no UUID. Leave it out (the agent makes one and keeps it with its data), or give the output of uuidgen."


def _address_problems(options: Json) -> t.Iterator[str]:
    for option in ("bind_addr", "advertise_addr"):
        value = options.get(option)
        if not value or "{{" in value:  # a go-sockaddr template is the agent's to resolve
            continue
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            yield f"{option} '{value}' is no IP address."
            continue
        if option == "advertise_addr" and address.is_unspecified:
            yield f"advertise_addr cannot be {value}: other nodes must be able to reach it. Give the node's own address."


def _other_problems(options: Json) -> t.Iterator[str]:
    interval = options.get("retry_interval")
    if interval and not _GO_DURATION.match(interval):
        yield f"retry_interval '{interval}' is no duration. Write it like 2s or 1m30s."
    if not str(options.get("data_dir") or "").startswith("/"):
        yield f"data_dir '{options.get('data_dir')}' is no absolute path in the container."


def _set(config: Json, path: str, value: t.Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


def _needs(path: str, have: Json, is_member: bool) -> str:
    # Another gossip key comes through the keyring; in the configuration an agent looks for one only when it has none.
    if (is_member and path in versions.START_ONLY) or (path == "encrypt" and path in have) or is_below(path, versions.NEXT_TIME):
        return WRITE
    return RELOAD if is_below(path, versions.RELOADABLE) else RESTART


def _shown(path: str, value: t.Any) -> t.Any:
    return HIDDEN if value is not None and SECRET.search(path) else _without_secrets(value)


def _without_secrets(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: HIDDEN if key in HIDDEN_KEYS else _without_secrets(one) for key, one in value.items()}
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value
