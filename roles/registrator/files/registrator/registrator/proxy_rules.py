# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may pass between Registrator and the engine: which requests, and which fields of what the engine answers.

Both are lists of what is allowed, and hold what Registrator reads and nothing else. So who takes it over learns no
environment of a container but its SERVICE_ keys, no command line, no mount, no label that is not Registrator's.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import parse_qsl

from .address import NETWORK_LABEL
from .mapping import ENABLE_LABEL, HEALTH_LABEL, SERVICE_LABELS
from .metadata import PREFIX

PATH = r"/(?:v[0-9]+\.[0-9]+/)?(?P<what>_ping|version|events|containers/json|containers/[a-zA-Z0-9][a-zA-Z0-9_.-]*/json)"
REQUEST = re.compile(rf"(?P<method>GET|HEAD) (?P<target>{PATH}(?:\?(?P<query>[!-~]*))?) HTTP/1\.[01]")
CLOSE = re.compile(rb"^connection:[ \t]*close[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
OFF = ("", "0", "false")

Json = t.Any
Rule = t.Callable[[Json], Json]


class Request(t.NamedTuple):
    """A request that may pass: what it asks for is a path without a version."""

    method: str
    target: str
    what: str
    closes: bool


def allowed(head: bytes) -> t.Optional[Request]:
    """Return what a client's request asks for; None when it may not pass."""
    line, _end, fields = head.partition(b"\r\n")
    match = REQUEST.fullmatch(line.decode("latin-1"))
    if not match or not _is_cheap(match["query"] or ""):
        return None
    return Request(match["method"], match["target"], match["what"], bool(CLOSE.search(fields)))


def _is_cheap(query: str) -> bool:
    """Tell whether the engine need not add up the sizes of containers' files for the answer, which may take it minutes."""
    # Old engines take a semicolon, too, for the end of a parameter.
    pairs = parse_qsl(query.replace(";", "&"), keep_blank_values=True)
    return all(value.lower() in OFF for key, value in pairs if key.lower() == "size")


def document_rule(what: str, labels: t.Sequence[str] = (), whole: bool = False) -> Rule:
    """Return what is to be done with the document that answers a request; ``labels`` pass besides those of Registrator.

    With ``whole`` what is asked of a container passes as it is.
    """
    rules = {"events": EVENT, "containers/json": LIST, "version": VERSION}
    return rules.get(what) or (_as_it_is if whole else container_rule(labels))


def container_rule(labels: t.Sequence[str] = ()) -> Rule:
    """Return what passes of an inspected container."""
    read = {*LABELS, *labels}

    def label_rule(found: Json) -> Json:
        return {key: _plain(value) for key, value in found.items() if key in read or key.startswith(PREFIX)} if isinstance(found, dict) else None

    config = {"Env": _environment, "Labels": label_rule, "Image": _plain, "Hostname": _plain, "ExposedPorts": _each({}), "StopSignal": _plain}
    return _fields({**CONTAINER, "Config": _fields({**config, "StopTimeout": _plain})})


def _as_it_is(found: Json) -> Json:
    return found


def _plain(found: Json) -> Json:
    """Let what holds nothing else pass."""
    return None if isinstance(found, (dict, list)) else found


def _fields(rules: t.Mapping[str, Rule]) -> Rule:
    return lambda found: {key: rule(found[key]) for key, rule in rules.items() if key in found} if isinstance(found, dict) else None


def _each(rules: t.Mapping[str, Rule]) -> Rule:
    """Return a rule for an object whose keys may be anything, and whose values are objects of these fields."""
    fields = _fields(rules)
    return lambda found: {key: fields(value) for key, value in found.items()} if isinstance(found, dict) else None


def _all(rule: Rule) -> Rule:
    return lambda found: [rule(one) for one in found] if isinstance(found, list) else None


def _environment(found: Json) -> Json:
    return [line for line in found if isinstance(line, str) and line.startswith(PREFIX)] if isinstance(found, list) else None


def _bindings(found: Json) -> Json:
    bound = _all(_fields({"HostIp": _plain, "HostPort": _plain}))
    return {port: bound(value) for port, value in found.items()} if isinstance(found, dict) else None


LABELS = (ENABLE_LABEL, HEALTH_LABEL, NETWORK_LABEL, *SERVICE_LABELS)
ADDRESSES = _each({"IPAddress": _plain, "GlobalIPv6Address": _plain})
CONTAINER: t.Dict[str, Rule] = {
    "Id": _plain,
    "Name": _plain,
    "Image": _plain,
    "HostConfig": _fields({"NetworkMode": _plain}),
    "NetworkSettings": _fields({"IPAddress": _plain, "Networks": ADDRESSES, "Ports": _bindings}),
    "State": _fields({"Running": _plain, "Restarting": _plain, "Paused": _plain, "ExitCode": _plain, "Health": _fields({"Status": _plain})}),
}
PORT = _fields({"IP": _plain, "PrivatePort": _plain, "PublicPort": _plain, "Type": _plain})
LIST = _all(
    _fields(
        {
            "Id": _plain,
            "Names": _all(_plain),
            "State": _plain,
            "Status": _plain,
            "Ports": _all(PORT),
            "NetworkSettings": _fields({"Networks": _each({"IPAddress": _plain})}),
        }
    )
)
ATTRIBUTES = _fields({"signal": _plain, "container": _plain})
EVENT = _fields(
    {
        **dict.fromkeys(("Type", "Action", "status", "id", "time", "timeNano"), _plain),
        "Actor": _fields({"ID": _plain, "Attributes": ATTRIBUTES}),
    }
)
VERSION = _fields(dict.fromkeys(("Version", "ApiVersion", "MinAPIVersion", "Os", "Arch"), _plain))
REFUSAL = _fields({"message": _plain})
