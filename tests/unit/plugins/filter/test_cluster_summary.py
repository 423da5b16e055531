# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees at the end of site.yml."""

from __future__ import annotations

from ansible_collections.discovery.consul.plugins.filter.cluster_summary import cluster_summary

HEALTH = {
    "verdict": "healthy",
    "leader": {"name": "node1"},
    "nodes": [
        {"name": "node1", "role": "server", "address": "172.30.0.11", "state": "alive"},
        {"name": "node4", "role": "client", "address": "172.30.0.14", "state": "alive"},
    ],
}


def test_the_table_and_how_to_ask() -> None:
    lines = cluster_summary({**HEALTH, "services": ["consul", "web"]}, [{"name": "node1", "http": "http://127.0.0.1:8500", "dns": "127.0.0.1:8600"}])
    assert lines == [
        "node   role    address      state  HTTP",
        "node1  server  172.30.0.11  alive  http://127.0.0.1:8500",
        "node4  client  172.30.0.14  alive",
        "verdict      healthy",
        "leader       node1",
        "services     web",
        "web page     http://127.0.0.1:8500/ui/",
        "ask by HTTP  curl http://127.0.0.1:8500/v1/catalog/service/web",
        "ask by DNS   dig @127.0.0.1 -p 8600 web.service.consul",
    ]


def test_critical_checks_are_shown_and_many_of_them_counted() -> None:
    lines = cluster_summary({**HEALTH, "critical_checks": [f"check {number}" for number in range(7)]}, [])
    assert [line for line in lines if line.startswith("critical")] == [
        *(f"critical     check {number}" for number in range(5)),
        "critical     and 2 more checks",
    ]


def test_nothing_known_is_no_failure() -> None:
    assert cluster_summary({"verdict": "unknown", "nodes": [], "leader": None}, []) == [
        "node  role  address  state  HTTP",
        "verdict      unknown",
        "leader       None",
        "services     none yet",
    ]


def test_where_tokens_are_needed_it_says_which() -> None:
    lines = cluster_summary(HEALTH, [{"name": "node1", "http": "http://127.0.0.1:8500"}], "secrets/dc1/tokens/health")
    assert lines[-2:] == [
        'ask by HTTP  curl -H "X-Consul-Token: $(cat secrets/dc1/tokens/health)" http://127.0.0.1:8500/v1/catalog/service/consul',
        "log in with  secrets/dc1/tokens/health",
    ]
