# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changes, each on top of those before it: what it is, what it may do at most, and why."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul import versions
from node import ASIDE, NAME, PREFIX, Json, Node

IMAGE = os.environ["TEST_IMAGE"]
RELEASE = versions.parse(os.environ["TEST_RELEASE"])
NEXT = (RELEASE[0], RELEASE[1] + 1, 9)
SAME, ANOTHER, NEWER = (f"localhost/{PREFIX}consul:{tag}" for tag in ("same", "another", "newer"))

KEY, ANOTHER_KEY = "cg8StVXbQJ0gPvMd9o7yrg8StVXbQJ0gPvMd9o7yrg8=", "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="
TOKEN, ANOTHER_TOKEN = "0b1d4d1e-2c54-4d34-8d3c-3d3f3a8c6f01", "0b1d4d1e-2c54-4d34-8d3c-3d3f3a8c6f02"

START: Json = {
    "node_name": NAME,
    "image": IMAGE,
    "server": True,
    "bootstrap_expect": 1,
    "encrypt": KEY,
    "network": f"{PREFIX}one",
    "network_subnet": "10.214.1.0/24",
    "ipv4_address": "10.214.1.11",
    "config_dir": "etc",
    "stop_timeout": 10,
}


@dataclass(frozen=True)
class Change:
    """One row. `options` come on top of those of the rows before; None takes one away.

    `does` are the actions that it may need, and `why` the names of all differences that it is. `first` is what somebody
    does to the node before. `proof` is what then holds. `refused` is a part of the sentence that refuses it.
    """

    name: str
    options: Json = field(default_factory=dict)
    does: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    first: t.Callable[[Node], t.Any] | None = None
    proof: t.Callable[[Node], bool] | None = None
    refused: str = ""


def steps(changes: t.Iterable[Change]) -> t.Iterator[tuple[Change, Json, Json]]:
    """Each change with all options before it and with it."""
    before = {**START, "state": "absent"}
    for change in changes:
        after = {name: value for name, value in {**before, **change.options}.items() if value is not None}
        yield change, before, after
        if not change.refused:
            before = after


def _key(option: str, release: versions.Version = RELEASE) -> str:
    """The name of a difference in an option that not every release writes in one place."""
    return f"config.{versions.written_as(option, release)}"


def _services(node: Node) -> Json:
    """Until it leads again, a server refuses to say."""
    node.wait_until_it_leads()
    return t.cast(Json, node.ask("/v1/agent/services"))


def _put(node: Node, name: str, text: str) -> None:
    """Replace a file as careful programs do: another one takes its name."""
    staged = node.folder / f"{name}.new"
    staged.write_text(text)
    staged.replace(node.folder / name)


def _meta(node: Node) -> Json:
    return t.cast(Json, node.ask("/v1/agent/self")["Meta"])


def _edit(node: Node, old: str, new: str) -> None:
    text = node.config.read_text()
    assert old in text
    node.config.write_text(text.replace(old, new))


CREATE, UPDATE, RELOAD, RESTART, RECREATE = ("create",), ("update",), ("reload",), ("restart",), ("recreate",)

CHANGES = [
    Change("a new node", {"state": "started"}, CREATE, ("container",)),
    Change("nothing"),
    Change("image by another name", {"image": SAME}),
    Change("configuration that cannot be", {"extra_config": {"no_such_key": 1}}, refused="no_such_key"),
    Change("option that cannot be", {"node_id": "seven"}, refused="node_id 'seven' is no UUID"),
    Change("another gossip key", {"encrypt": ANOTHER_KEY}, refused="another gossip key"),
    Change("no gossip key", {"encrypt": None}, refused="has a gossip key"),
    # What a member of a cluster does not look at any more, and what it reads again.
    Change("servers to join", {"retry_join": ["10.214.1.12"]}, (), ("config.retry_join",), first=Node.wait_until_it_leads),
    Change(
        "when to join",
        {"retry_join": None, "retry_interval": "3s"},
        (),
        ("config.retry_interval", "config.retry_join"),
        first=Node.wait_until_it_leads,
    ),
    # What only the first leader of a cluster looks at.
    Change("servers that autopilot may leave", {"min_quorum": 3}, (), ("config.autopilot.min_quorum",)),
    Change("more of them", {"min_quorum": 5}, (), ("config.autopilot.min_quorum",)),
    Change("log level", {"log_level": "debug"}, RELOAD, ("config.log_level",)),
    Change("metadata", {"node_meta": {"rack": "1"}}, RELOAD, ("config.node_meta.rack",), proof=lambda node: _meta(node)["rack"] == "1"),
    Change(
        "other metadata", {"node_meta": {"row": "2"}}, RELOAD, ("config.node_meta.rack", "config.node_meta.row"), proof=lambda node: "rack" not in _meta(node)
    ),
    Change(
        "a service",
        {"services": [{"name": "web", "port": 80}]},
        RELOAD,
        ("config.services.web.name", "config.services.web.port"),
        proof=lambda node: "web" in node.ask("/v1/agent/services"),
    ),
    Change("a service that cannot be", {"services": [{"name": "web", "port": "80"}]}, refused="The service web has the port '80', which it cannot have"),
    Change(
        "another port of it, and a check",
        {"services": [{"name": "web", "port": 81, "checks": [{"ttl": "1h"}]}]},
        RELOAD,
        ("config.services.web.checks", "config.services.web.port"),
        proof=lambda node: node.ask("/v1/agent/services")["web"]["Port"] == 81,
    ),
    # Restarts.
    Change("raft's timers", {"raft_multiplier": 2}, RESTART, ("config.performance.raft_multiplier",)),
    Change("port of HTTP", {"ports": {"http": 8555}}, RESTART, ("config.ports.http",)),
    # Wherever it listens, it is ready when it answers there.
    Change("HTTP on a socket", {"addresses": {"http": "unix:///tmp/consul.sock"}}, RESTART, ("config.addresses.http",)),
    Change("HTTP where a template says", {"addresses": {"http": '{{ GetInterfaceIP "eth0" }}'}}, RESTART, ("config.addresses.http",)),
    Change("HTTP on loopback only", {"addresses": {"http": "127.0.0.1"}}, refused="addresses is a loopback address inside a container's own network"),
    Change("HTTP everywhere", {"addresses": None}, RESTART, ("config.addresses.http",)),
    Change("domain and log level", {"domain": "changes.", "log_level": "info"}, RESTART, ("config.domain", "config.log_level")),
    Change(
        "ACLs",
        {"acl_default_policy": "allow", "acl_management_token": TOKEN},
        RESTART,
        ("config.acl.default_policy", "config.acl.enabled", _key("acl_management_token")),
    ),
    Change("agent's token", {"acl_agent_token": TOKEN}, RELOAD, ("config.acl.tokens.agent",)),
    Change("another management token", {"acl_management_token": ANOTHER_TOKEN}, refused="another management token"),
    # In place.
    Change("restart policy", {"restart_policy": "always"}, UPDATE, ("restart_policy",)),
    Change("memory and processors", {"memory": "256m", "cpus": 0.8}, UPDATE, ("cpu_quota", "memory")),
    Change("memory and log level", {"memory": "200m", "log_level": "warn"}, ("update", "reload"), ("config.log_level", "memory")),
    Change("memory and recursor", {"memory": "300m", "recursors": ["10.214.1.53"]}, ("update", "restart"), ("config.recursors", "memory")),
    # Replacements.
    Change("no limit of memory any more", {"memory": None}, RECREATE, ("memory",)),
    Change("environment", {"environment": {"A": "1"}}, RECREATE, ("environment.A",)),
    Change("labels instead", {"environment": None, "labels": {"team": "a"}}, RECREATE, ("environment.A", "labels.team")),
    Change("published port", {"published_ports": ["127.0.0.1:48555:8555"]}, RECREATE, ("published_ports",)),
    Change("ulimit", {"nofile": 4096}, RECREATE, ("ulimits",)),
    Change("no ulimit any more", {"nofile": None}, RECREATE, ("specification",)),
    Change("writable root, and capabilities", {"hardened": False}, RECREATE, ("capabilities_dropped", "read_only", "security_options", "tmpfs")),
    Change("log driver", {"hardened": None, "log_driver": "local"}, RECREATE, ("capabilities_dropped", "log", "read_only", "security_options", "tmpfs")),
    Change("user's group", {"user": "100:0"}, RECREATE, ("config_file.mode", "user")),
    Change("address", {"ipv4_address": "10.214.1.22"}, RECREATE, ("config.advertise_addr", f"networks.{PREFIX}one.ipv4_address")),
    Change(
        "network",
        {"network": f"{PREFIX}two", "network_subnet": "10.214.2.0/24", "ipv4_address": "10.214.2.11"},
        RECREATE,
        ("config.advertise_addr", "network_mode", f"networks.{PREFIX}one", f"networks.{PREFIX}two"),
    ),
    Change("folder of the configuration", {"config_dir": "elsewhere"}, RECREATE, ("config_file", "mounts")),
    Change(
        "another file",
        {"config_files": ["more.json"]},
        RELOAD,
        ("config_files.extra-000-more.json",),
        first=lambda node: _put(node, "more.json", '{"service": {"name": "more", "port": 80}}'),
        proof=lambda node: "more" in _services(node),
    ),
    Change(
        "another content, and another file in its place",
        {},
        RELOAD,
        ("config_files.extra-000-more.json",),
        first=lambda node: _put(node, "more.json", '{"service": {"name": "less", "port": 80}}'),
        proof=lambda node: "less" in _services(node),
    ),
    Change(
        "another key in it",
        {},
        RESTART,
        ("config_files.extra-000-more.json",),
        first=lambda node: _put(node, "more.json", '{"service": {"name": "less", "port": 80}, "dns_config": {"node_ttl": "1s"}}'),
    ),
    Change("a file that cannot be", first=lambda node: _put(node, "more.json", '{"no_such_key": 1}'), refused="no_such_key"),
    Change("another image of the release", {"image": ANOTHER, "config_files": None}, RECREATE, ("config_files.extra-000-more.json", "image")),
    Change(
        "much at once",
        {"image": IMAGE, "memory": "256m", "restart_policy": None, "log_level": "info", "raft_multiplier": 1, "labels": None},
        RECREATE,
        ("config.log_level", "config.performance.raft_multiplier", "image", "labels.team", "memory", "restart_policy"),
    ),
    Change(
        "log as it is by default",
        {"log_driver": None},
        RECREATE,
        ("log",),
        proof=lambda node: node.api.inspect_container(NAME)["HostConfig"]["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"},
    ),
    # Somebody did something by hand.
    Change("stopped by hand", {}, ("start",), ("state",), first=lambda node: node.api.stop(NAME)),
    Change("paused by hand", {}, ("start",), ("state",), first=lambda node: node.api.pause(NAME)),
    Change(
        "paused by hand, and log level", {"log_level": "debug"}, ("start", "reload"), ("config.log_level", "state"), first=lambda node: node.api.pause(NAME)
    ),
    Change(
        "paused by hand, and raft's timers",
        {"raft_multiplier": 2},
        ("start", "restart"),
        ("config.performance.raft_multiplier", "state"),
        first=lambda node: node.api.pause(NAME),
    ),
    Change("paused by hand, and environment", {"environment": {"A": "1"}}, RECREATE, ("environment.A", "state"), first=lambda node: node.api.pause(NAME)),
    Change("removed by hand", {}, CREATE, ("container",), first=lambda node: node.api.remove_container(NAME, force=True)),
    Change("limit changed by hand", {}, UPDATE, ("memory",), first=lambda node: node.api.update_container(NAME, mem_limit="128m", memswap_limit="256m")),
    Change("log level edited by hand", {}, RELOAD, ("config.log_level",), first=lambda node: _edit(node, '"debug"', '"trace"')),
    Change("domain edited by hand", {}, RESTART, ("config.domain",), first=lambda node: _edit(node, "changes.", "others.")),
    Change("configuration removed by hand", {}, RESTART, ("config_file",), first=lambda node: node.config.unlink()),
    Change("configuration open to others", {}, (), ("config_file.mode",), first=lambda node: node.config.chmod(0o644)),
    # Runs that were interrupted.
    Change("written, not read", {}, RELOAD, ("config_file",), first=lambda node: node.config.with_name(".pending").write_text("reload\n")),
    Change("replaced, old one left", {}, ("recover",), (f"container {ASIDE}",), first=Node.leave_the_old_one),
    Change("set aside, no successor", {}, ("recover", "start"), (f"container {ASIDE}", "state"), first=Node.set_aside),
    Change("set aside, successor not started", {}, ("recover", "start"), (f"container {ASIDE}", "state"), first=Node.leave_a_successor),
    # States.
    Change("stopped, and metadata", {"state": "stopped", "node_meta": {"rack": "3"}}, ("stop",), ("config.node_meta.rack", "config.node_meta.row", "state")),
    Change("still stopped, raft's timers", {"raft_multiplier": 3}, (), ("config.performance.raft_multiplier",)),
    Change("present, restart policy", {"state": "present", "restart_policy": "no"}, UPDATE, ("restart_policy",)),
    Change("present, newer release", {"image": NEWER}, RECREATE, ("image", *(set() if _key("ui") == _key("ui", NEXT) else {_key("ui"), _key("ui", NEXT)}))),
    Change("started", {"state": "started"}, ("start",), ("state",)),
    Change("downgrade", {"image": IMAGE}, refused="which cannot read its data"),
    Change("present, running", {"state": "present"}),
    Change("absent", {"state": "absent"}, ("remove",), (f"container {NAME}", "config_dir")),
    Change("absent already"),
    Change("absent, without its data", {"purge_data": True}, ("remove",), ("data_volume",)),
    Change("present, new", {"state": "present", "image": IMAGE}, CREATE, ("container",)),
]
