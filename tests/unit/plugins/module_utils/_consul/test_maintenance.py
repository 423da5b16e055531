# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance through a node's agent: whom it concerns, what is told, and what is waited for."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import maintenance
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import Reader
from fake_agent import Agent

Json = t.Dict[str, t.Any]

BEGUN: Json = {"_node_maintenance": {"Node": "app", "CheckID": "_node_maintenance", "Notes": "disk"}}
HEALTHY: Json = {"web-ttl": {"Node": "app", "CheckID": "web-ttl", "Notes": ""}}


def agent(checks: Json, catalog: t.Sequence[str] = ()) -> Agent:
    return Agent(
        answers={
            "/v1/agent/checks": (200, checks),
            "/v1/agent/services": (200, {"web-1": {"Service": "web"}, "web-2": {"Service": "web"}, "db": {"Service": "db"}}),
            "/v1/agent/maintenance": (200, ""),
            "/v1/agent/service/maintenance/web-1": (200, ""),
            "/v1/agent/service/maintenance/web-2": (200, ""),
            "/v1/health/node/app": (200, [{"CheckID": one} for one in catalog]),
            "/v1/status/leader": (200, "10.0.0.1:8300"),
        }
    )


def maintained(one: Agent, check_mode: bool = False, **options: t.Any) -> Json:
    given = {"service": None, "state": "present", "reason": "a b", "wait": 0, **options}
    return maintenance.converge(Reader(one.url), given, check_mode)


def told(one: Agent) -> list[str]:
    return [f"{path}?{query}" for method, path, query, _token in one.log if method == "PUT"]


def test_the_node_is_told_once() -> None:
    with agent(HEALTHY, ["_node_maintenance"]) as one:
        assert maintained(one, check_mode=True)["changed"] and told(one) == []
        assert maintained(one)["diff"] == {"before": {"the node": "in service"}, "after": {"the node": "in maintenance"}}
        assert told(one) == ["/v1/agent/maintenance?enable=true&reason=a%20b"]
    with agent({**BEGUN, **HEALTHY}, ["_node_maintenance"]) as one:
        again = maintained(one)
        assert (again["changed"], again["reasons"], told(one)) == (False, ["disk"], [])


def test_each_instance_of_a_service_is_told() -> None:
    checks = {**HEALTHY, "_service_maintenance:web-2": {"Node": "app", "Notes": "x"}}
    with agent(checks, ["_service_maintenance:web-1", "_service_maintenance:web-2"]) as one:
        done = maintained(one, service="web")
        assert (done["instances"], done["reasons"]) == (["web-1", "web-2"], ["x"])
        assert told(one) == ["/v1/agent/service/maintenance/web-1?enable=true&reason=a%20b"]
    with agent(HEALTHY) as one, pytest.raises(ApiError, match=r"The agent has no instance of `gone`"):
        maintained(one, service="gone")


def test_a_catalog_that_does_not_show_it_is_an_error() -> None:
    with agent(HEALTHY) as one, pytest.raises(ApiError, match=r"does not show the maintenance of app as its agent has it, after 0 s"):
        maintained(one)
    with agent(BEGUN, ["_node_maintenance"]) as one, pytest.raises(ApiError, match=r"look for 'blocked by ACLs' in its log"):
        maintained(one, state="absent")


def test_an_agent_without_a_check_that_is_in_service_stays_so() -> None:
    with agent({}) as one:
        assert not maintained(one, state="absent")["changed"]
