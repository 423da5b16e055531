# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services and prepared queries of an inventory are judged before anything exists."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.service_problems import query_problems, service_problems

Json = t.Dict[str, t.Any]


def test_what_is_right_has_no_problems() -> None:
    script = {"name": "db", "checks": [{"args": ["/bin/true"], "interval": "1s"}]}
    assert service_problems([script], True) == [] and len(service_problems([script])) == 1
    query = {"name": "db", "service": "postgres", "tags": ["!old"], "near": "_agent", "failover": {"nearest_n": 1, "datacenters": ["dc2"]}, "ttl": "10s"}
    assert query_problems([query, {"name": "gone", "state": "absent"}]) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"service": "db"}, "missing required arguments: name"),
        ({"name": "db"}, "The prepared query 'db' names no service."),
        ({"name": "a b", "service": "db"}, "has no name that DNS could ask for"),
        ({"name": "db", "service": "db", "session": "x"}, "session"),
        ({"name": "db", "service": "db", "ttl": "10"}, "has the ttl '10', which it cannot have"),
        ({"name": "db", "service": "db", "failover": {"nearest_n": -1}}, "has the failover.nearest_n -1"),
        ({"name": "db", "service": "db", "failover": {"datacenters": ["dc 2"]}}, "has the failover.datacenters 'dc 2'"),
        ({"name": "db", "service": "db", "node_meta": {"a": 1}}, "has the node_meta"),
        ({"name": "db", "service": "db", "near": "a\nb"}, "has the near 'a\\nb'"),
    ],
)
def test_each_mistake_is_a_sentence(query: Json, words: str) -> None:
    assert words in " ".join(query_problems([query]))


def test_names_differ_in_more_than_the_case() -> None:
    assert "declared twice" in " ".join(query_problems([{"name": "db", "service": "db"}, {"name": "DB", "service": "db"}]))
