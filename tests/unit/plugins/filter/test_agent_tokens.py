# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each node of the inventory has a token for itself, whether it takes part in the play or not."""

from __future__ import annotations

import typing as t

from ansible_collections.discovery.consul.plugins.filter.agent_tokens import agent_tokens

SECRET = "aaaaaaaa-0000-4000-8000-000000000001"


def names(**hostvars: dict[str, t.Any]) -> list[str]:
    return [one["name"] for one in agent_tokens(hostvars, hostvars, "dc1") if one.get("state") != "absent"]


def test_a_token_may_write_its_own_node_and_belongs_to_the_agents() -> None:
    assert agent_tokens(["web1.example.org"], {"web1.example.org": {}}, "dc1") == [
        {
            "name": "agent-web1",
            "description": "The agent web1",
            "node_identities": [{"node_name": "web1", "datacenter": "dc1"}],
            "owner": "dc1.agents",
        },
        {"name": "services-web1", "owner": "dc1.agents", "state": "absent", "secret": ""},
    ]


def test_a_secret_that_is_given_comes_along() -> None:
    found = agent_tokens(["a"], {"a": {"consul_agent_acl_agent_token": SECRET, "consul_agent_node_name": "b"}}, "dc1")[0]
    assert (found["name"], found["secret"]) == ("agent-b", SECRET)


def test_nodes_below_level_full_and_of_other_datacenters_are_left_out() -> None:
    assert names(a={"consul_agent_security": "gossip"}, b={"consul_agent_datacenter": "dc2"}, c={}) == ["agent-c"]
    assert names(a={"consul_agent_security": "gossip", "consul_agent_acl_agent_token": SECRET}) == ["agent-a"]


def test_what_a_host_of_the_play_has_said_goes_before_the_inventory() -> None:
    keeps = {"consul_agent_node": {"name": "x", "datacenter": "dc1", "keeps": ["agent"]}}
    assert names(a=keeps) == ["agent-x"]
    assert names(a={"consul_agent_node": {"name": "x", "datacenter": "dc1", "keeps": []}}) == []
    assert names(a={"consul_agent_node": {"name": "x", "datacenter": "dc2", "keeps": ["agent"]}}) == []


SERVICES = [{"name": "web"}, {"name": "db", "id": "db-1"}, {"name": "db", "id": "db-2"}, {"name": "own", "token": SECRET}]


def test_services_have_a_token_that_may_write_them_and_no_others() -> None:
    found = agent_tokens(["a"], {"a": {"consul_agent_services": SERVICES}}, "dc1")[1]
    assert found == {
        "name": "services-a",
        "description": "The services that the inventory declares for a",
        "service_identities": [{"service_name": name, "datacenters": ["dc1"]} for name in ("db", "web")],
        "owner": "dc1.agents",
    }
    assert names(a={"consul_agent_services": [SERVICES[3]]}) == ["agent-a"]
    assert names(a={"consul_agent_services": SERVICES, "consul_agent_security": "none"}) == []


def test_the_secret_of_services_may_be_given_and_a_host_of_the_play_says_what_it_declares() -> None:
    given = agent_tokens(["a"], {"a": {"consul_agent_services": SERVICES, "consul_agent_acl_services_token": SECRET}}, "dc1")
    assert given[1]["secret"] == SECRET
    node = {"name": "x", "datacenter": "dc1", "keeps": ["agent", "services"], "services": ["web"]}
    assert names(a={"consul_agent_node": node}) == ["agent-x", "services-x"]
    assert names(a={"consul_agent_node": {**node, "keeps": ["agent"]}}) == ["agent-x"]
    assert names(a={"consul_agent_node": {**node, "services": []}, "consul_agent_services": SERVICES}) == ["agent-x"]
