# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Consul's health check from the CHECK_ keys of a service.

A service has at most one check: the first of HTTP, HTTPS, CMD, SCRIPT, TTL, TCP, GRPC that has a value.
What Consul would refuse is left out and named in a warning, so that a mistake in a check never costs the registration.
CMD and SCRIPT run what the container says on the agent's machine: they are left out, too, unless they are asked for.
"""

from __future__ import annotations

import re
import typing as t

from .metadata import Metadata

Check = t.Dict[str, t.Any]

DEFAULT_INTERVAL = "10s"
# No part can be read in two ways, and nothing longer is looked at: a match takes no longer than the text is.
DURATION = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|ms|s|m|h))+")
DURATION_PART = re.compile(r"([0-9.]+)([a-z]+)")
LONGEST_DURATION = 40
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_S = 9e9  # Go counts nanoseconds in 64 bits
STATUSES = ("passing", "warning", "critical")
SCRIPTS = ("cmd", "script")
SCRIPT_FIELD = "ScriptArgs"


def check_of(metadata: Metadata, address: str, port: int, container: str, exposed: str, scripts: bool = False) -> t.Tuple[t.Optional[Check], t.List[str]]:
    """Return the check, if any, and a warning for each key that was left out.

    ``address`` and ``port`` are those of the registration; ``container`` is the engine's identifier and ``exposed``
    the container's port, both only for CHECK_CMD; ``scripts`` says whether checks may be scripts.
    """
    target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    check: Check = {}
    for kind, build in KINDS:
        value = metadata.get(f"check_{kind}")
        if value and kind in SCRIPTS and not scripts:
            return None, [f"SERVICE_CHECK_{kind.upper()} is a program for the agent to run, which -script-checks does not allow: no check is registered"]
        if value:
            check = build(_Request(metadata, value, target, address, port, container, exposed))
            break
    if not check:
        return None, []
    return _accepted(check)


class _Request(t.NamedTuple):
    metadata: Metadata
    value: str
    target: str
    address: str
    port: int
    container: str
    exposed: str


def _http(request: _Request, scheme: str) -> Check:
    # Without the slash, what the container says would be read as a part of the port, or as another host.
    path = request.value if request.value.startswith("/") else f"/{request.value}"
    check = _polled(request, HTTP=f"{scheme}://{request.target}{path}", Method=request.metadata.get(f"check_{scheme}_method"))
    if scheme == "https" and request.metadata.get("check_tls_skip_verify"):
        check["TLSSkipVerify"] = True
    return check


def _command(request: _Request) -> Check:
    return _polled(request, **{SCRIPT_FIELD: ["check-cmd", request.container[:12], request.exposed, request.value]})


def _script(request: _Request) -> Check:
    # The original sends the line as the name of one program, which no agent can run: it needs a shell.
    line = request.value.replace("$SERVICE_IP", request.address).replace("$SERVICE_PORT", str(request.port))
    return _polled(request, **{SCRIPT_FIELD: ["/bin/sh", "-c", line]})


def _ttl(request: _Request) -> Check:
    return {"TTL": request.value, **_common(request.metadata)}


def _tcp(request: _Request) -> Check:
    return _polled(request, TCP=request.target)


def _grpc(request: _Request) -> Check:
    check = _polled(request, GRPC=request.target)
    if request.metadata.get("check_grpc_use_tls"):
        check["GRPCUseTLS"] = True
        if request.metadata.get("check_tls_skip_verify"):
            check["TLSSkipVerify"] = True
    return check


KINDS: t.Tuple[t.Tuple[str, t.Callable[[_Request], Check]], ...] = (
    ("http", lambda request: _http(request, "http")),
    ("https", lambda request: _http(request, "https")),
    ("cmd", _command),
    ("script", _script),
    ("ttl", _ttl),
    ("tcp", _tcp),
    ("grpc", _grpc),
)


def _polled(request: _Request, **what: t.Any) -> Check:
    """Return a check that the agent runs itself, at an interval."""
    check = {key: value for key, value in what.items() if value}
    check["Interval"] = request.metadata.get("check_interval") or DEFAULT_INTERVAL
    takes_timeout = SCRIPT_FIELD not in what
    if takes_timeout and request.metadata.get("check_timeout"):
        check["Timeout"] = request.metadata.get("check_timeout")
    return {**check, **_common(request.metadata)}


def _common(metadata: Metadata) -> Check:
    pairs = (("Status", "check_initial_status"), ("DeregisterCriticalServiceAfter", "check_deregister_after"))
    return {field: metadata.get(key) for field, key in pairs if metadata.get(key)}


def _accepted(check: Check) -> t.Tuple[t.Optional[Check], t.List[str]]:
    """Leave out what Consul refuses."""
    warnings = []
    for field, key in (("Timeout", "CHECK_TIMEOUT"), ("DeregisterCriticalServiceAfter", "CHECK_DEREGISTER_AFTER"), ("Interval", "CHECK_INTERVAL")):
        if field in check and not is_duration(check[field]):
            warnings.append(f"SERVICE_{key}={check[field]!r} is not a duration such as 10s: left out")
            del check[field]
    if "Interval" not in check and "TTL" not in check:
        check["Interval"] = DEFAULT_INTERVAL
    if check.get("Status", "passing") not in STATUSES:
        warnings.append(f"SERVICE_CHECK_INITIAL_STATUS={check.pop('Status')!r} is none of {', '.join(STATUSES)}: left out")
    if "TTL" in check and not is_duration(check["TTL"]):
        return None, [*warnings, f"SERVICE_CHECK_TTL={check['TTL']!r} is not a duration such as 30s: no check is registered"]
    return check, warnings


def is_duration(text: str) -> bool:
    """Tell whether Go reads the text as a duration above zero, such as ``1m30s``."""
    if len(text) > LONGEST_DURATION or not DURATION.fullmatch(text):
        return False
    return SECONDS["ns"] <= sum(float(number) * SECONDS[unit] for number, unit in DURATION_PART.findall(text)) < LONGEST_S
