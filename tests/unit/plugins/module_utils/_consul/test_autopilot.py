# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One number in autopilot's configuration changes, and nothing that somebody else set there."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import api, autopilot
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from operator_cluster import Cluster

Json = t.Dict[str, t.Any]


def configure(cluster: t.Any, number: int, check_mode: bool = False) -> Json:
    return autopilot.configure(cluster, {"min_quorum": number}, check_mode)


def test_only_the_number_changes() -> None:
    cluster = Cluster()
    before = dict(cluster.autopilot)
    shown = {"changed": True, "former": 3, "diff": {"before": "min_quorum: 3\n", "after": "min_quorum: 5\n"}}
    assert configure(cluster, 5, check_mode=True) == shown
    assert cluster.autopilot == before
    assert configure(cluster, 5) == shown
    assert cluster.autopilot == {**before, "MinQuorum": 5, "ModifyIndex": 8}
    assert not configure(cluster, 5)["changed"]
    assert len(cluster.log) == 1


def test_what_somebody_else_sets_at_the_same_moment_is_kept() -> None:
    class Busy(Cluster):
        def put(self, path: str, data: str, **params: str) -> Answer:
            if not self.log:
                self.autopilot.update(LastContactThreshold="2s", ModifyIndex=8)
            return super().put(path, data, **params)

    cluster = Busy()
    assert configure(cluster, 5)["changed"]
    assert (cluster.autopilot["MinQuorum"], cluster.autopilot["LastContactThreshold"]) == (5, "2s")


def test_it_does_not_try_for_ever() -> None:
    class Busier(Cluster):
        def put(self, path: str, data: str, **params: str) -> Answer:
            self.autopilot["ModifyIndex"] += 1
            return super().put(path, data, **params)

    with pytest.raises(api.ApiError, match=r"was changed by somebody else 5 times"):
        configure(Busier(), 5)


def test_where_it_is_not_shown_nobody_has_set_it() -> None:
    cluster = Cluster()
    del cluster.autopilot["MinQuorum"]
    assert configure(cluster, 5)["diff"]["before"] == "min_quorum: 0\n"
    assert cluster.autopilot["MinQuorum"] == 5
