# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node leaves by itself and is forgotten by the others, and whoever is meant by mistake stays."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import api, departure
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, ConsulError
from operator_cluster import Cluster

Json = t.Dict[str, t.Any]


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "SETTLE", 0.0)


def depart(cluster: t.Any, name: str, state: str, check_mode: bool = False, address: str | None = None) -> Json:
    return departure.depart(cluster, {"name": name, "state": state, "address": address}, check_mode)


def test_a_node_leaves_once() -> None:
    cluster = Cluster()
    left = {"changed": True, "running": True, "steps": ["leave"]}
    assert depart(cluster, "s2", "left", check_mode=True) == left
    assert cluster.log == []
    assert depart(cluster, "s2", "left") == left
    assert depart(cluster, "s2", "left") == {"changed": False, "running": False, "steps": []}
    assert cluster.told() == ["PUT /v1/agent/leave"]


def test_another_node_at_the_url_stays() -> None:
    cluster = Cluster()
    with pytest.raises(api.ApiError, match=r"http://10.0.0.2:8500 is the API of the node s2, not of s3, so it stays"):
        depart(cluster, "s3", "left")
    assert cluster.log == []


@pytest.mark.parametrize("ended", [True, False])
def test_an_agent_that_ends_before_its_answer_is_out_has_left(ended: bool) -> None:
    class Quick(Cluster):
        def put(self, path: str, data: str, **params: str) -> Answer:
            self.me = None if ended else self.me
            raise ConsulError(self.url, "ConnectionError: Remote end closed connection without response")

    if ended:
        assert depart(Quick(), "s2", "left")["changed"]
    else:
        with pytest.raises(ConsulError, match="Remote end closed"):
            depart(Quick(), "s2", "left")


def test_an_agent_that_hangs_has_not_left() -> None:
    class Hung(Cluster):
        def get(self, path: str, **params: str) -> Answer:
            raise ConsulError(self.url, "ReadTimeout: timed out")

    with pytest.raises(ConsulError, match="timed out"):
        depart(Hung(), "s2", "left")


def test_what_is_left_of_a_node_is_removed_once() -> None:
    cluster = Cluster()
    cluster.dies("s3")
    removed = {"changed": True, "running": False, "steps": ["member", "raft_peer", "catalog"]}
    assert depart(cluster, "s3", "removed", check_mode=True) == removed
    assert cluster.log == []
    assert depart(cluster, "s3", "removed") == removed
    assert cluster.log == [("PUT", "/v1/agent/force-leave/s3", {"prune": ""})], "the leader did the rest"
    assert depart(cluster, "s3", "removed") == {"changed": False, "running": False, "steps": []}


def test_where_the_leader_does_not_it_is_done_by_hand() -> None:
    cluster = Cluster()
    cluster.dies("s3")
    cluster.reconciles = False
    depart(cluster, "s3", "removed")
    assert cluster.told()[1:] == ["DELETE /v1/operator/raft/peer", "PUT /v1/catalog/deregister"]
    assert ("s3" in cluster.catalog, "id-s3" in cluster.peers, set(cluster.peers)) == (False, False, {"id-s1", "id-s2"})


def test_a_removal_that_was_interrupted_goes_on_by_the_address() -> None:
    """No member has the peer's name any more."""
    cluster = Cluster()
    del cluster.members["s3"]
    assert depart(cluster, "s3", "removed")["steps"] == ["catalog"], "without the address the peer cannot be told"
    assert depart(cluster, "s3", "removed", address="10.0.0.3")["steps"] == ["raft_peer"]
    assert set(cluster.peers) == {"id-s1", "id-s2"}


def test_a_client_has_no_peer() -> None:
    cluster = Cluster()
    cluster.dies("c1")
    assert depart(cluster, "c1", "removed", address="10.0.0.4")["steps"] == ["member", "catalog"]


def test_who_is_alive_is_not_removed_under_this_name_or_another() -> None:
    cluster = Cluster()
    with pytest.raises(api.ApiError, match=r"s3 is alive at 10\.0\.0\.3, as http.* sees it, and would come back"):
        depart(cluster, "s3", "removed")
    with pytest.raises(api.ApiError, match=r"Another node that is alive has the address 10\.0\.0\.3 of s9"):
        depart(cluster, "s9", "removed", address="10.0.0.3")
    assert cluster.log == []


def test_whom_the_token_does_not_show_is_not_taken_for_dead() -> None:
    class Filtered(Cluster):
        def get(self, path: str, **params: str) -> Answer:
            answer = super().get(path, **params)
            return Answer(status=200, data=[one for one in answer.data if one["Name"] != "s3"]) if path == "/v1/agent/members" else answer

    cluster = Filtered()
    with pytest.raises(api.ApiError, match=r"s3 is a raft peer that the leader knows, and .* does not show it as a member"):
        depart(cluster, "s3", "removed")
    assert cluster.log == []


def test_a_peer_that_stays_is_no_success() -> None:
    cluster = Cluster()
    cluster.dies("s3")
    cluster.reconciles = cluster.obeys = False
    with pytest.raises(api.ApiError, match="did not remove the raft peer id-s3: status 500, not today"):
        depart(cluster, "s3", "removed")
