# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that an inventory declares: what is refused and how it is said, what is written, and what is shown of a change."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import config, declared, versions
from hypothesis import given
from hypothesis import strategies as st

Json = t.Dict[str, t.Any]

TOKEN, OTHER = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
PASSWORD = "Basic c3dvcmRmaXNo"
DB: Json = {"name": "db", "port": 5432, "address": "10.0.0.7", "tags": ["primary"], "meta": {"version": "16"}}
TCP: Json = {"tcp": "10.0.0.7:5432", "interval": "10s"}


def judged(*services: t.Any, scripts: bool = False) -> list[str]:
    return list(declared.problems(services, scripts))


@pytest.mark.parametrize(
    "service",
    [
        {"name": "db"},
        DB,
        {**DB, "id": "db-1", "address": None, "weights": {"passing": 10, "warning": 1}, "enable_tag_override": False, "token": TOKEN},
        {**DB, "address": "db.example.org", "tagged_addresses": {"lan": {"address": "fd00::7", "port": 5432}}},
        {**DB, "checks": [TCP, {"http": "https://10.0.0.7/up", "interval": "1m30s", "timeout": "2s", "header": {"Authorization": [PASSWORD]}}]},
        {**DB, "checks": [{"ttl": "30s"}, {"alias_service": "other"}, {"grpc": "[fd00::7]:50051/db", "interval": "5s", "grpc_use_tls": True}]},
    ],
)
def test_what_consul_takes_is_no_problem(service: Json) -> None:
    assert judged(service) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "Service 1 of the list has no name."),
        ({"name": "My DB"}, "has the name 'My DB', which it cannot have. It must be up to 63 lower-case letters"),
        ({"name": "consul"}, "has the name or id consul, which the servers have themselves"),
        ({"id": "../x"}, "has the id '../x', which it cannot have"),
        ({"port": "5432"}, "The service db has the port '5432', which it cannot have. It must be a number from 0 to 65535."),
        ({"port": 70000}, "the port 70000"),
        ({"port": True}, "the port True"),
        ({"address": "0.0.0.0"}, "the address '0.0.0.0'"),
        ({"address": "10.0.0.300"}, "the address '10.0.0.300'"),
        ({"address": "10.0.0.7; rm"}, "the address '10.0.0.7; rm'"),
        ({"tags": "primary"}, "the tags 'primary'"),
        ({"tags": ["a\nb"]}, "the tags ['a\\nb']"),
        ({"meta": {"version": 16}}, "so put numbers in quotes"),
        ({"meta": {"a b": "x"}}, "the meta {'a b': 'x'}"),
        ({"token": "swordfish"}, "The service db has the token, which it cannot have. It must be a UUID."),
        ({"connect": {"native": True}}, "The service db has the key 'connect', which cannot be declared. The keys are address, checks,"),
        ({"weights": {"best": 1}}, "the weights"),
        ({"checks": {}}, "the checks {}"),
        ({"checks": ["tcp"]}, "The service db, check 1, is no dictionary"),
        ({"checks": [{"interval": "10s"}]}, "The service db, check 1, is of no kind. Give exactly one of alias_service, args"),
        ({"checks": [TCP, {**TCP, "ttl": "10s"}]}, "The service db, check 2, is of 2 kinds (tcp, ttl)"),
        ({"checks": [{"tcp": "10.0.0.7:5432"}]}, "has no interval"),
        ({"checks": [{**TCP, "interval": "10"}]}, "has the interval '10', which it cannot have. It must be a duration"),
        ({"checks": [{**TCP, "tcp": "10.0.0.7"}]}, "has the tcp '10.0.0.7'"),
        ({"checks": [{"http": "https://u:swordfish@10.0.0.7/", "interval": "1s"}]}, "without a user or a password"),
        ({"checks": [{"http": "file:///etc/passwd", "interval": "1s"}]}, "must be a URL that begins with http://"),
        ({"checks": [{"args": ["/bin/true"], "interval": "1s"}]}, "runs a program, which the agent refuses. Set enable_local_script_checks"),
        ({"checks": [{**TCP, "header": "swordfish"}]}, "check 1, has the header, which it cannot have"),
        ({"checks": [{**TCP, "id": "c"}, {**TCP, "id": "c"}]}, "check 2, has the id of another check"),
        ({"checks": [{**TCP, "deregister_critical_service_after": "1h"}]}, "has the key 'deregister_critical_service_after'"),
    ],
)
def test_each_mistake_is_a_sentence_that_names_service_and_key(change: Json, words: str) -> None:
    found = " ".join(judged({**DB, **change}))
    assert words in found and "\n" not in found
    assert "swordfish" not in found or "http" in change.get("checks", [{}])[0]


def test_ids_are_of_their_kind_on_a_node() -> None:
    assert judged(DB, {**DB, "id": "db-2"}) == []
    assert judged(DB, {"name": "other", "id": "db"}) == ["The service db has the same id as another service of the node. Give each an id of its own."]
    assert judged("db") == ["Service 1 of the list is no dictionary of Consul's keys. Write it like {name: db, port: 5432}."]


def test_programs_are_checks_where_the_agent_runs_them() -> None:
    assert judged({**DB, "checks": [{"args": ["/bin/true"], "interval": "1s"}]}, scripts=True) == []


anything = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)


@given(
    service=st.dictionaries(st.sampled_from([*declared.SERVICE_KEYS, "x"]), anything),
    check=st.dictionaries(st.sampled_from([*declared.CHECK_KEYS]), anything),
)
def test_whatever_an_inventory_holds_is_judged_on_one_line(service: Json, check: Json) -> None:
    assert all(len(one.splitlines()) == 1 for one in judged(service, {**service, "checks": [check]}, check))
    assert all(len(one.splitlines()) == 1 for one in declared.warnings([service, {**service, "checks": [check]}], own_network=True))


def test_a_check_of_loopback_is_warned_of_where_that_is_the_container() -> None:
    service = {**DB, "checks": [{"http": "http://127.0.0.1:9000/up", "interval": "1s"}, TCP, {"ttl": "1s"}]}
    (warning,) = declared.warnings([service], own_network=True)
    assert "A check of the service db asks http://127.0.0.1:9000/up" in warning
    assert list(declared.warnings([service], own_network=False)) == []


def test_each_service_gets_its_token() -> None:
    own = {"name": "own", "token": OTHER, "address": None}
    assert declared.written([DB, own], TOKEN) == [{**DB, "token": TOKEN}, {"name": "own", "token": OTHER}]
    assert declared.written([DB], None) == [DB]


def test_a_change_is_shown_service_by_service_and_needs_a_reload() -> None:
    before = config.build({"services": declared.written([DB, {"name": "old"}], TOKEN)}, {}, versions.NEWEST_KNOWN)
    after = config.build({"services": declared.written([{**DB, "port": 5433, "checks": [{**TCP, "header": {"X": [PASSWORD]}}]}], OTHER)}, {}, versions.OLDEST)
    found = config.changes(before, after)
    assert [one.name for one in found] == [f"config.services.{name}" for name in ("db.checks", "db.port", "db.token", "old.name", "old.token")]
    assert {one.needs for one in found} == {"reload"}
    text = str(found)
    assert TOKEN not in text and OTHER not in text and PASSWORD not in text and "5433" in text
    assert config.changes(after, {**after, "services": list(reversed(after["services"]))}) == []
    assert declared.ids(before) - declared.ids(after) == {"old"}


def test_the_secrets_of_services_are_known() -> None:
    services = declared.written([{**DB, "checks": [{**TCP, "header": {"Authorization": [PASSWORD], "Accept": ["text/html"]}}]}], TOKEN)
    assert config.secrets({"services": services}) == {TOKEN, PASSWORD}
