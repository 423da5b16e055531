# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configuration as data: what is written for which release, what is refused, what a change needs."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import config, versions
from ansible_collections.discovery.consul.plugins.modules import consul_agent
from hypothesis import given
from hypothesis import strategies as st

Json = t.Dict[str, t.Any]

DEBIAN: versions.Version = (1, 8, 7)
CURRENT: versions.Version = versions.NEWEST_KNOWN
KEY = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="
GOOD: Json = {"node_name": "node1", "data_dir": "/consul/data", "server": True, "bootstrap_expect": 3, "retry_interval": "2s"}

WRITTEN = [
    ("acl_agent_token", "t", "acl.tokens.agent", "acl.tokens.agent"),
    ("acl_dns_token", "t", "acl.tokens.default", "acl.tokens.dns"),
    ("acl_management_token", "t", "acl.tokens.master", "acl.tokens.initial_management"),
    ("advertise_addr", "10.0.0.1", "advertise_addr", "advertise_addr"),
    ("auto_encrypt_tls", True, "auto_encrypt.tls", "auto_encrypt.tls"),
    ("bootstrap_expect", 3, "bootstrap_expect", "bootstrap_expect"),
    ("ca_file", "/ca.pem", "ca_file", "tls.defaults.ca_file"),
    ("cert_file", "/c.pem", "cert_file", "tls.defaults.cert_file"),
    ("client_addr", "0.0.0.0", "client_addr", "client_addr"),
    ("datacenter", "dc1", "datacenter", "datacenter"),
    ("enable_syslog", True, "enable_syslog", "enable_syslog"),
    ("encrypt", KEY, "encrypt", "encrypt"),
    ("leave_on_terminate", False, "leave_on_terminate", "leave_on_terminate"),
    ("min_quorum", 3, "autopilot.min_quorum", "autopilot.min_quorum"),
    ("raft_multiplier", 1, "performance.raft_multiplier", "performance.raft_multiplier"),
    ("rejoin_after_leave", True, "rejoin_after_leave", "rejoin_after_leave"),
    ("retry_join", ["10.0.0.1"], "retry_join", "retry_join"),
    ("ui", True, "ui", "ui_config.enabled"),
    ("verify_incoming", True, "verify_incoming_rpc", "tls.internal_rpc.verify_incoming"),
    ("verify_outgoing", True, "verify_outgoing", "tls.defaults.verify_outgoing"),
    ("verify_server_hostname", True, "verify_server_hostname", "tls.internal_rpc.verify_server_hostname"),
]


@pytest.mark.parametrize(("option", "value", "debian", "current"), WRITTEN)
def test_each_option_is_written_the_way_of_the_release(option: str, value: t.Any, debian: str, current: str) -> None:
    assert config.flatten(config.build({option: value}, {}, DEBIAN)) == {debian: value}
    assert config.flatten(config.build({option: value}, {}, CURRENT)) == {current: value}


@pytest.mark.parametrize(("release", "key"), [((1, 8, 19), "ui"), ((1, 9, 0), "ui_config.enabled"), ((1, 22, 6), "ui_config.enabled")])
def test_a_renamed_key_changes_with_its_release(release: versions.Version, key: str) -> None:
    assert config.flatten(config.build({"ui": True}, {}, release)) == {key: True}


def test_every_option_of_the_table_is_an_option_of_the_module() -> None:
    derived = {"acl_enabled", "auto_encrypt_allow_tls", "auto_encrypt_tls", "ca_file", "cert_file", "key_file"}
    assert set(versions.OPTIONS) <= set(consul_agent.ARGUMENTS) | derived


@pytest.mark.parametrize("key", versions.KEYS, ids=lambda key: key.path)
def test_a_key_that_the_release_does_not_know_is_named(key: versions.Key) -> None:
    extra: Json = {}
    config._set(extra, key.path, True)
    with pytest.raises(config.ConfigError, match=rf"{key.path}.*came with Consul {versions.show(key.since)}, and the image has 1\.8\.7"):
        config.build({}, extra, DEBIAN)
    assert config.build({}, extra, key.since) == extra


def test_extra_config_comes_last_and_deep() -> None:
    built = config.build({"raft_multiplier": 1, "log_level": "info"}, {"performance": {"leave_drain_time": "1s"}, "log_level": "warn"}, CURRENT)
    assert built == {"performance": {"raft_multiplier": 1, "leave_drain_time": "1s"}, "log_level": "warn"}


def test_unset_options_are_not_written() -> None:
    assert config.build({"encrypt": None, "retry_join": [], "node_meta": {}, "server": False}, {}, CURRENT) == {"server": False}


PROBLEMS = [
    ({"bootstrap": True}, "bootstrap and bootstrap_expect contradict each other"),
    ({"server": False}, "are for servers, and this node is a client"),
    ({"bootstrap_expect": -1}, "must be the number of servers"),
    ({"node_name": "node_1"}, "cannot be resolved by DNS"),
    ({"node_name": ""}, "cannot be resolved by DNS"),
    ({"node_id": "42"}, "is no UUID"),
    ({"advertise_addr": "0.0.0.0"}, "advertise_addr cannot be 0.0.0.0"),
    ({"advertise_addr": "node1"}, "advertise_addr 'node1' is no IP address"),
    ({"bind_addr": "10.0.0.300"}, "bind_addr '10.0.0.300' is no IP address"),
    ({"retry_interval": "2"}, "is no duration"),
    ({"data_dir": "data"}, "is no absolute path"),
]


@pytest.mark.parametrize(("change", "words"), PROBLEMS)
def test_bad_options_are_sentences(change: Json, words: str) -> None:
    (problem,) = config.problems({**GOOD, **change})
    assert words in problem
    assert config.problems(GOOD) == []


@pytest.mark.parametrize("change", [{"encrypt": KEY}, {"bind_addr": '{{ GetInterfaceIP "eth0" }}'}, {"advertise_addr": "2001:db8::1"}])
def test_good_options_are_no_problem(change: Json) -> None:
    assert config.problems({**GOOD, **change}) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bootstrap_expect": 1}, "no redundancy"),
        ({"bootstrap_expect": 2}, "even number"),
        ({"bootstrap_expect": 4}, "even number"),
        ({"leave_on_terminate": True}, "shrink"),
    ],
)
def test_doubtful_options_are_warned_of(change: Json, words: str) -> None:
    (warning,) = config.warnings({**GOOD, **change})
    assert words in warning
    assert config.warnings(GOOD) == []


@pytest.mark.parametrize(
    ("key", "needs"),
    [
        ("log_level", "reload"),
        ("node_meta.rack", "reload"),
        ("acl.tokens.agent", "reload"),
        ("server", "restart"),
        ("ports.http", "restart"),
        ("retry_join", "write"),
        ("autopilot.min_quorum", "write"),
        ("autopilots", "restart"),
        ("server_rejoin_age_max", "write"),
    ],
)
def test_what_a_change_needs(key: str, needs: str) -> None:
    wanted: Json = {}
    config._set(wanted, key, "x")
    (change,) = config.changes({}, wanted)
    assert (change.name, change.needs) == (f"config.{key}", needs)


def test_a_node_that_has_not_joined_needs_a_restart_for_new_addresses() -> None:
    (change,) = config.changes({"retry_join": ["a"]}, {"retry_join": ["b"]}, is_member=False)
    assert change.needs == "restart"


@pytest.mark.parametrize("secret", [{"encrypt": KEY}, {"acl": {"tokens": {"agent": KEY}}}, {"license_path": KEY}])
def test_secrets_are_known_and_never_shown(secret: Json) -> None:
    assert config.secrets(secret) == {KEY}
    (change,) = config.changes({}, secret)
    assert KEY not in str(change)
    assert change.wanted == config.HIDDEN


values = st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1), max_leaves=6)
trees = st.dictionaries(st.sampled_from("abc"), values)


@given(below=trees, above=trees)
def test_merging_keeps_everything_of_the_upper_side(below: Json, above: Json) -> None:
    merged = config.merge(below, above)
    assert config.merge(merged, above) == merged
    assert {**config.flatten(merged), **config.flatten(above)} == config.flatten(merged)


@given(one=trees, other=trees)
def test_no_changes_means_the_same(one: Json, other: Json) -> None:
    assert (config.changes(one, other) == []) == (config.flatten(one) == config.flatten(other))


@pytest.mark.parametrize(("text", "version"), [("Consul v1.8.7\nProtocol 2", (1, 8, 7)), ("1.22.6+ent", (1, 22, 6))])
def test_releases_are_read(text: str, version: versions.Version) -> None:
    assert versions.parse(text) == version


@pytest.mark.parametrize(("text", "words"), [("Consul v1.7.4", "too old"), ("bash: consul: not found", "names no release")])
def test_other_releases_are_refused(text: str, words: str) -> None:
    with pytest.raises(versions.VersionError, match=words):
        versions.parse(text)
