# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepared queries by name: what is compared, what is told, and what is never shown."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import prepared_query
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client
from fake_agent import Agent

Json = t.Dict[str, t.Any]

TOKEN = "aaaaaaaa-0000-4000-8000-000000000001"
QUERY: Json = {"name": "db", "service": "postgres", "tags": ["b", "a"], "failover": {"nearest_n": 1, "datacenters": ["dc2"]}, "state": "present"}
HELD: Json = {
    "ID": "1",
    "Name": "db",
    "Session": "",
    "Token": "",
    "Template": {"Type": "", "Regexp": ""},
    "Service": {
        "Service": "postgres",
        "Failover": {"NearestN": 1, "Datacenters": ["dc2"]},
        "OnlyPassing": False,
        "IgnoreCheckIDs": None,
        "Near": "",
        "Tags": ["a", "b"],
        "NodeMeta": None,
        "ServiceMeta": None,
        "Connect": False,
    },
    "DNS": {"TTL": ""},
}


def told(held: Json, *queries: Json, check_mode: bool = False) -> tuple[Json, list[str]]:
    answers = {"/v1/query": (200, [held, {**HELD, "ID": "2", "Name": "other"}]), f"/v1/query/{held['ID']}": (200, "")}
    with Agent(answers=answers) as agent:
        done = prepared_query.converge(Client(agent.url), {"queries": list(queries), "wait": 0}, check_mode)
        return done, [f"{method} {path}" for method, path, _query, _token in agent.log if method != "GET"]


def test_what_is_as_declared_is_left_alone() -> None:
    done, calls = told(HELD, QUERY, {"name": "gone", "state": "absent"})
    assert not done["changed"] and calls == []


@pytest.mark.parametrize(
    "change",
    [
        {"Token": TOKEN},
        {"Session": TOKEN},
        {"Name": "DB"},
        {"Template": {"Type": "name_prefix_match"}},
        {"DNS": {"TTL": "1s"}},
        {"Service": {**HELD["Service"], "Near": "_agent"}},
        {"Service": {**HELD["Service"], "Failover": {"Targets": [{"Peer": "x"}]}}},
        {"Service": {**HELD["Service"], "IgnoreCheckIDs": ["c"]}},
    ],
)
def test_whatever_differs_is_changed_and_no_token_is_shown(change: Json) -> None:
    held = {**HELD, **change}
    predicted, none = told(held, QUERY, check_mode=True)
    done, calls = told(held, QUERY)
    assert done == predicted and done["changes"] == [{"action": "update", "name": "db"}]
    assert (none, calls) == ([], ["PUT /v1/query/1"]) and TOKEN not in str(done)


def test_one_that_is_absent_goes() -> None:
    done, calls = told(HELD, {"name": "db", "state": "absent"})
    assert calls == ["DELETE /v1/query/1"] and done["diff"]["after"] == {}


def test_bad_input_is_said_before_anybody_is_asked() -> None:
    with Agent() as agent, pytest.raises(ApiError, match=r"The prepared query 'db' names no service"):
        prepared_query.converge(Client(agent.url), {"queries": [{"name": "db", "state": "present"}], "wait": 0}, False)
    assert agent.log == []


def test_a_cluster_without_a_leader_is_said() -> None:
    with Agent(answers={"/v1/query": (500, "No cluster leader")}) as agent, pytest.raises(ApiError, match=r"within 0 s: there is no leader"):
        prepared_query.converge(Client(agent.url), {"queries": [QUERY], "wait": 0}, False)
