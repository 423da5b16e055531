# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the catalog has what a node declares: what is compared, what is told to the agent, and what is said when it is not so."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import registered
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client
from fake_agent import Agent

Json = t.Dict[str, t.Any]

DB: Json = {"name": "db", "id": "db-1", "port": 5432, "tags": ["b", "a"], "meta": {"version": "16"}, "address": None}
SHOWN: Json = {"ID": "db-1", "Service": "db", "Port": 5432, "Tags": ["a", "b"], "Meta": {"version": "16"}, "Address": ""}


def agent(has: t.Sequence[Json], catalog: t.Sequence[Json], denied: bool = False) -> Agent:
    services = {one["ID"]: one for one in catalog}
    status = (403, "Permission denied") if denied else (200, "")
    return Agent(
        answers={
            "/v1/agent/services": (200, {one["ID"]: one for one in has}),
            "/v1/catalog/node/app": (200, {"Services": services} if catalog else None),
            "/v1/agent/reload": status,
            "/v1/catalog/deregister": status,
            "/v1/status/leader": (200, "10.0.0.1:8300"),
        }
    )


def prove(one: Agent, *services: Json, check_mode: bool = False, **options: t.Any) -> Json:
    given = {"node": "app", "services": list(services), "former_services": [], "reload": False, "wait": 0, **options}
    return registered.prove(Client(one.url), given, check_mode)


def test_what_is_as_declared_is_left_alone_and_so_is_what_others_registered() -> None:
    container = {"ID": "c", "Service": "web"}
    with agent([SHOWN, container], [SHOWN, container, {"ID": "consul", "Service": "consul"}]) as one:
        assert prove(one, DB) == {"changed": False, "missing": [], "left": []}
        assert one.asked("PUT") == []


@pytest.mark.parametrize("change", [{"Port": 1}, {"Service": "x"}, {"Tags": ["a"]}, {"Meta": None}, {"Address": "10.0.0.7"}])
def test_each_field_is_compared(change: Json) -> None:
    with agent([SHOWN], [{**SHOWN, **change}]) as one:
        assert prove(one, DB, check_mode=True) == {"changed": True, "missing": ["db-1"], "left": []}
        with pytest.raises(ApiError, match=r"has not these services of app as they are declared, after 0 s: db-1 \(refused by the servers, or not told yet\)"):
            prove(one, DB, reload=True)
        assert one.asked("PUT") == ["/v1/agent/reload"]


def test_tags_that_others_may_change_are_not_compared() -> None:
    with agent([SHOWN], [{**SHOWN, "Tags": ["c"]}]) as one:
        assert not prove(one, {**DB, "enable_tag_override": True})["changed"]


def test_what_the_agent_has_not_is_taken_out_of_the_catalog_and_a_former_one_is_waited_for() -> None:
    old = {"ID": "old", "Service": "db"}
    with agent([SHOWN], [SHOWN, old]) as one:
        with pytest.raises(ApiError, match=r"are still there after 0 s: old"):
            prove(one, DB)
        assert one.asked("PUT") == ["/v1/catalog/deregister"]
    with agent([SHOWN, old], [SHOWN, old]) as one:
        with pytest.raises(ApiError, match=r"Services of app that are gone or not declared any more are still there after 0 s: old"):
            prove(one, DB, former_services=["old"])
        assert one.asked("PUT") == []


def test_a_right_that_is_wanting_is_named() -> None:
    with agent([], [{"ID": "old", "Service": "db"}], denied=True) as one, pytest.raises(ApiError, match=r"Give a token with node:write on app"):
        prove(one)
    with agent([SHOWN], [], denied=True) as one, pytest.raises(ApiError, match=r"Give a token with agent:write"):
        prove(one, DB, reload=True)
