# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another server leads, or it is said why not."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import api, leadership
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from operator_cluster import Cluster

Json = t.Dict[str, t.Any]


def hand_over(cluster: t.Any, node: str, check_mode: bool = False) -> Json:
    return leadership.hand_over(cluster, {"node": node, "wait": 0}, check_mode)


def test_another_server_leads_and_then_nothing_is_left_to_do() -> None:
    cluster = Cluster()
    assert hand_over(cluster, "s1", check_mode=True) == {"changed": True, "leader": "s1", "supported": True}
    assert cluster.log == []
    assert hand_over(cluster, "s1") == {"changed": True, "leader": "s2", "supported": True}
    assert hand_over(cluster, "s1") == {"changed": False, "leader": "s2", "supported": True}
    assert cluster.told() == ["POST /v1/operator/raft/transfer-leader"]


@pytest.mark.parametrize("status", [404, 405])
def test_a_release_that_cannot_do_it_says_so(status: int) -> None:
    cluster = Cluster()
    cluster.transfer = Answer(status=status, data="")
    assert hand_over(cluster, "s1") == {"changed": False, "leader": "s1", "supported": False}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=500, data="cannot transfer leadership to itself"), "did not take the leadership from s1: status 500, cannot transfer"),
        (Answer(status=200, data={"Success": False}), r"did not take the leadership from s1: \{'Success': False\}"),
        (Answer(status=403, data="Permission denied"), "Give a token with operator:write"),
    ],
)
def test_a_hand_over_that_fails_is_no_silent_one(answer: Answer, words: str) -> None:
    cluster = Cluster()
    cluster.transfer = answer
    with pytest.raises(api.ApiError, match=words):
        hand_over(cluster, "s1")


def test_a_leader_that_stays_is_no_success() -> None:
    cluster = Cluster()
    cluster.obeys = False
    with pytest.raises(api.ApiError, match="s1 handed the leadership over, and s1 leads 0 s later"):
        hand_over(cluster, "s1")
