# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Instances out of what an agent, or a cache file, says. Whatever comes in is judged before it is believed.

An answer of the wrong form is refused whole: no Consul gives one. An instance with an address or a port that cannot be one is
left out alone, since anyone who may register a service chooses these freely.
"""

from __future__ import annotations

import json
import re
import typing as t

from .errors import AgentError
from .instance import CRITICAL, MAINTENANCE, PASSING, STATUSES, WARNING, Instance
from .text import printable

_ADDRESS = re.compile(r"[A-Za-z0-9._:%-]{1,255}\Z")
_SEVERITY = {PASSING: 0, WARNING: 1, CRITICAL: 2, MAINTENANCE: 3}


class Listing(t.NamedTuple):
    """All registered instances, and what was wrong with those that were left out."""

    registered: t.Tuple[Instance, ...]
    left_out: t.Tuple[str, ...]


def decode(body: bytes) -> t.Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AgentError(f"the answer is no JSON ({printable(str(error), 80)})") from None


def listing(entries: t.Any, tags: t.Iterable[str] = ()) -> Listing:
    """Read what ``/v1/health/service`` answers."""
    return _collect((_instance(entry) for entry in _typed(entries, list, "the answer")), frozenset(tags))


def listing_from_cache(entries: t.Any, tags: t.Iterable[str] = ()) -> Listing:
    """Read what ``Instance.as_dict`` wrote."""
    return _collect((_cached(entry) for entry in _typed(entries, list, "the list")), frozenset(tags))


def _collect(instances: t.Iterable[Instance], tags: t.FrozenSet[str]) -> Listing:
    found: t.Dict[t.Tuple[str, str], Instance] = {}
    left_out: t.List[str] = []
    for instance in instances:
        if not _ADDRESS.match(instance.address) or not 0 <= instance.port <= 65535:
            left_out.append(f"{printable(instance.id, 80)}: {printable(instance.address, 80)!r}, port {instance.port}, is no address")
        elif tags.issubset(instance.tags):
            found.setdefault(instance.key, instance)
    return Listing(tuple(sorted(found.values(), key=lambda one: (one.id, one.node))), tuple(left_out))


def _instance(entry: t.Any) -> Instance:
    entry = _typed(entry, dict, "an entry")
    node, service = _typed(entry.get("Node"), dict, "Node"), _typed(entry.get("Service"), dict, "Service")
    checks = [_typed(check, dict, "a check") for check in _typed(entry.get("Checks") or [], list, "Checks")]
    return Instance(
        id=_typed(service.get("ID"), str, "Service.ID"),
        service=_typed(service.get("Service"), str, "Service.Service"),
        node=_typed(node.get("Node"), str, "Node.Node"),
        # A service without an address of its own is reached at its node's.
        address=_typed(service.get("Address") or "", str, "Service.Address") or _typed(node.get("Address"), str, "Node.Address"),
        port=_integer(service.get("Port", 0), "Service.Port"),
        tags=_strings(service.get("Tags"), "Service.Tags"),
        meta=_string_map(service.get("Meta"), "Service.Meta"),
        status=_status(checks),
    )


def _status(checks: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """Return the worst of the checks; what a check says that Consul does not know counts as critical."""
    worst = PASSING
    for check in checks:
        name, status = str(check.get("CheckID", "")), check.get("Status")
        if name == "_node_maintenance" or name.startswith("_service_maintenance:"):
            status = MAINTENANCE
        elif status not in (PASSING, WARNING):
            status = CRITICAL
        worst = max(worst, t.cast(str, status), key=lambda one: _SEVERITY[one])
    return worst


def _cached(entry: t.Any) -> Instance:
    entry = _typed(entry, dict, "an instance")
    status = entry.get("status")
    return Instance(
        **{name: _typed(entry.get(name), str, name) for name in ("id", "service", "node", "address")},
        port=_integer(entry.get("port"), "port"),
        tags=_strings(entry.get("tags"), "tags"),
        meta=_string_map(entry.get("meta"), "meta"),
        status=status if status in STATUSES else CRITICAL,
    )


def _typed(value: t.Any, kind: t.Type[t.Any], name: str) -> t.Any:
    if not isinstance(value, kind):
        raise AgentError(f"the answer is not Consul's: {name} is {type(value).__name__}, not {kind.__name__}")
    return value


def _integer(value: t.Any, name: str) -> int:
    if isinstance(value, bool):
        raise AgentError(f"the answer is not Consul's: {name} is bool, not int")
    return t.cast(int, _typed(value, int, name))


def _strings(value: t.Any, name: str) -> t.Tuple[str, ...]:
    return tuple(_typed(one, str, name) for one in _typed(value or [], list, name))


def _string_map(value: t.Any, name: str) -> t.Dict[str, str]:
    return {_typed(key, str, name): _typed(one, str, name) for key, one in _typed(value or {}, dict, name).items()}
