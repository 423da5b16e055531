# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Consul's releases: which configuration key came, went or was renamed when. The one place that knows.

Source: the release notes, `agent/config/deprecated.go` and the agent's configuration reference. A release is a tuple
of three numbers.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Version = t.Tuple[int, int, int]

OLDEST: Version = (1, 8, 7)
NEWEST_KNOWN: Version = (2, 0, 4)
"""The one place that names the release that is deployed by default: docs/render.py writes its image wherever one is named."""

# Consul supports upgrades over two of its lines of releases (1.21, 1.22, 2.0).
LINES_AT_ONCE = 2

STOPS: tuple[Version, ...] = ((1, 10, 12), (1, 12, 9), (1, 14, 11), (1, 16, 6), (1, 18, 2), (1, 20, 6), (1, 22, 7), NEWEST_KNOWN)
"""The last public releases of lines on the way from the oldest to the newest, none further from the next than an upgrade may go."""

BROKEN: dict[Version, str] = {
    (1, 9, 0): "upgrades to it are known to go wrong; 1.10.12 is the release to go to",
    (1, 9, 1): "upgrades to it are known to go wrong; 1.10.12 is the release to go to",
    (1, 13, 0): "upgrades to it are known to go wrong; 1.14.11 is the release to go to",
    (1, 13, 1): "upgrades to it are known to go wrong; 1.14.11 is the release to go to",
    (1, 22, 4): "it ends every call after 30 s, and with it those that wait for changes; use 1.22.7",
}
"""Releases that nobody should go to, and why."""


class VersionError(OperatorError):
    """A release that is older than the oldest supported one, or text that names none."""


def parse(text: str) -> Version:
    """`Consul v1.8.7`, `1.22.6+ent` or `v1.22.0-dev` as three numbers."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    if not match:
        raise VersionError(f"'{text.strip()[:80]}' names no release of Consul.")
    version = (int(match[1]), int(match[2]), int(match[3]))
    if version < OLDEST:
        raise VersionError(f"Consul {show(version)} is too old: {show(OLDEST)} is the oldest release that works. Use a newer image.")
    return version


def line(version: Version) -> int:
    """How many lines of releases came before that of `version`. After 1.22 came 2.0, and since then there are two of each number: V.0, V.1."""
    major, minor, _patch = version
    return minor if major == 1 else 23 + (major - 2) * 2 + minor


def path(runs: Version, wanted: Version) -> list[Version]:
    """The releases to go to, one after the other, the last of which is `wanted`."""
    at, found = line(runs), []
    while line(wanted) - at > LINES_AT_ONCE:
        within = [stop for stop in STOPS if at < line(stop) <= at + LINES_AT_ONCE]
        if not within:  # beyond the releases that are known here
            break
        found.append(within[-1])
        at = line(within[-1])
    return [*found, wanted]


def show(version: Version) -> str:
    return ".".join(str(number) for number in version)


@dataclass(frozen=True)
class Key:
    """Where an option is written in the configuration, dotted, from `since` on and before `until`."""

    path: str
    since: Version = (0, 0, 0)
    until: Version | None = None

    def holds(self, version: Version) -> bool:
        return self.since <= version and (self.until is None or version < self.until)


def _renamed(old: str, new: str, release: Version) -> tuple[Key, Key]:
    return Key(old, until=release), Key(new, since=release)


OPTIONS: dict[str, tuple[Key, ...]] = {
    "acl_agent_token": (Key("acl.tokens.agent"),),
    "acl_default_policy": (Key("acl.default_policy"),),
    # Until DNS had a token of its own, it took the one of everybody who has none.
    "acl_dns_token": _renamed("acl.tokens.default", "acl.tokens.dns", (1, 17, 0)),
    "acl_enabled": (Key("acl.enabled"),),
    "acl_management_token": _renamed("acl.tokens.master", "acl.tokens.initial_management", (1, 11, 0)),
    "addresses": (Key("addresses"),),
    "advertise_addr": (Key("advertise_addr"),),
    "auto_encrypt_allow_tls": (Key("auto_encrypt.allow_tls"),),
    "auto_encrypt_tls": (Key("auto_encrypt.tls"),),
    "bind_addr": (Key("bind_addr"),),
    "bootstrap": (Key("bootstrap"),),
    "bootstrap_expect": (Key("bootstrap_expect"),),
    "ca_file": _renamed("ca_file", "tls.defaults.ca_file", (1, 12, 0)),
    "cert_file": _renamed("cert_file", "tls.defaults.cert_file", (1, 12, 0)),
    "client_addr": (Key("client_addr"),),
    "data_dir": (Key("data_dir"),),
    "datacenter": (Key("datacenter"),),
    "disable_remote_exec": (Key("disable_remote_exec"),),
    "disable_update_check": (Key("disable_update_check"),),
    "domain": (Key("domain"),),
    "enable_local_script_checks": (Key("enable_local_script_checks"),),
    "enable_syslog": (Key("enable_syslog"),),
    "encrypt": (Key("encrypt"),),
    "encrypt_verify_incoming": (Key("encrypt_verify_incoming"),),
    "encrypt_verify_outgoing": (Key("encrypt_verify_outgoing"),),
    "key_file": _renamed("key_file", "tls.defaults.key_file", (1, 12, 0)),
    "leave_on_terminate": (Key("leave_on_terminate"),),
    "log_level": (Key("log_level"),),
    "min_quorum": (Key("autopilot.min_quorum"),),
    "node_id": (Key("node_id"),),
    "node_meta": (Key("node_meta"),),
    "node_name": (Key("node_name"),),
    "pid_file": (Key("pid_file"),),
    "ports": (Key("ports"),),
    "protocol": (Key("protocol"),),
    "raft_multiplier": (Key("performance.raft_multiplier"),),
    "recursors": (Key("recursors"),),
    "rejoin_after_leave": (Key("rejoin_after_leave"),),
    "retry_interval": (Key("retry_interval"),),
    "retry_join": (Key("retry_join"),),
    "retry_max": (Key("retry_max"),),
    "server": (Key("server"),),
    "server_rejoin_age_max": (Key("server_rejoin_age_max", since=(1, 15, 3)),),
    "services": (Key("services"),),
    "skip_leave_on_interrupt": (Key("skip_leave_on_interrupt"),),
    "ui": _renamed("ui", "ui_config.enabled", (1, 9, 0)),
    "verify_incoming": _renamed("verify_incoming_rpc", "tls.internal_rpc.verify_incoming", (1, 12, 0)),
    "verify_outgoing": _renamed("verify_outgoing", "tls.defaults.verify_outgoing", (1, 12, 0)),
    "verify_server_hostname": _renamed("verify_server_hostname", "tls.internal_rpc.verify_server_hostname", (1, 12, 0)),
}
"""Each typed option, and what `security` makes of some, and where it is written. An option without a key for a release
cannot be had with it."""

KEYS: tuple[Key, ...] = (
    Key("acl.tokens.agent_recovery", since=(1, 11, 0)),
    Key("acl.tokens.dns", since=(1, 17, 0)),
    Key("acl.tokens.initial_management", since=(1, 11, 0)),
    Key("auto_reload_config", since=(1, 10, 0)),
    Key("limits.request_limits", since=(1, 14, 0)),
    Key("locality", since=(1, 15, 0)),
    Key("peering", since=(1, 13, 0)),
    Key("ports.grpc_tls", since=(1, 14, 0)),
    Key("raft_logstore", since=(1, 15, 0)),
    Key("reporting", since=(1, 15, 0)),
    Key("server_rejoin_age_max", since=(1, 15, 3)),
    Key("tls", since=(1, 12, 0)),
    Key("ui_config", since=(1, 9, 0)),
    Key("use_streaming_backend", since=(1, 9, 0)),
)
"""Keys that people write by hand and that not every release knows. `consul validate` finds all others."""

RELOADABLE: frozenset[str] = frozenset(
    {
        "acl.tokens.agent",
        "acl.tokens.default",
        "acl.tokens.dns",
        "acl.tokens.replication",
        "check",
        "checks",
        "discard_check_output",
        "limits.rpc_max_burst",
        "limits.rpc_rate",
        "log_level",
        "node_meta",
        "service",
        "services",
        "telemetry.prefix_filter",
        "watches",
    }
)
"""What the agent takes over on SIGHUP in every supported release; a change of any other key needs a restart."""


START_ONLY: frozenset[str] = frozenset({"bootstrap_expect", "retry_interval", "retry_join", "retry_max"})
"""What an agent looks at only until it is a member: a change of these is written, and a member goes on undisturbed."""

NEXT_TIME: frozenset[str] = frozenset({"autopilot", "server_rejoin_age_max"})
"""What is looked at once and never again by an agent that runs: by the first leader of a cluster, or when a server starts."""


def written_as(option: str, version: Version) -> str | None:
    """The dotted key of `option` in `version`, or None when that release has none."""
    return next((key.path for key in OPTIONS[option] if key.holds(version)), None)


def refused(path: str, version: Version) -> str | None:
    """Why `version` does not know the dotted key `path`, or None."""
    for key in KEYS:
        if (path == key.path or path.startswith(key.path + ".")) and not key.holds(version):
            return f"{key.path} came with Consul {show(key.since)}, and the image has {show(version)}"
    return None
