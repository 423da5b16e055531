# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From some gossip keys to one: no step before every member has done the one before."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import keyring
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer

OLD, NEW = "old", "new"


class Cluster:
    """Members with keys, the first of which they encrypt with. `deaf` members do not take new ones."""

    def __init__(self, members: int = 4, deaf: int = 0) -> None:
        self.members = [[OLD] for _number in range(members)]
        self.deaf = deaf
        self.done: list[str] = []

    def get(self, path: str) -> Answer:
        counts: dict[str, int] = {}
        for keys in self.members:
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
        return Answer(status=200, data=[{"Datacenter": "dc1", "WAN": False, "NumNodes": len(self.members), "Keys": counts, "Messages": None}])

    def post(self, path: str, data: str) -> Answer:
        self.done.append("install")
        for keys in self.members[self.deaf :]:
            if json.loads(data)["Key"] not in keys:
                keys.append(json.loads(data)["Key"])
        return Answer(status=200)

    def put(self, path: str, data: str) -> Answer:
        key = json.loads(data)["Key"]
        assert all(key in keys for keys in self.members), "a member would not understand the others"
        self.done.append("use")
        for keys in self.members:
            keys.sort(key=lambda one: one != key)
        return Answer(status=200)

    def delete(self, path: str, data: str) -> Answer:
        key = json.loads(data)["Key"]
        assert all(keys[0] != key for keys in self.members), "a key in use would go"
        self.done.append("remove")
        for keys in self.members:
            keys.remove(key)
        return Answer(status=200)


def rotate(cluster: t.Any, check_mode: bool = False) -> list[str]:
    return keyring.rotate(cluster, NEW, check_mode)


def test_the_new_key_is_the_only_one_and_stays_so() -> None:
    cluster = Cluster()
    assert rotate(cluster) == cluster.done == ["install", "use", "remove"]
    assert cluster.members == [[NEW]] * 4
    assert rotate(cluster) == []


def test_check_mode_says_it_and_does_nothing() -> None:
    cluster = Cluster()
    assert rotate(cluster, check_mode=True) == ["install", "use", "remove"]
    assert cluster.done == []


@pytest.mark.parametrize("done", ["install", "use"])
def test_an_interrupted_rotation_goes_on(done: str) -> None:
    cluster = Cluster()
    cluster.post("", json.dumps({"Key": NEW}))
    if done == "use":
        cluster.put("", json.dumps({"Key": NEW}))
    assert rotate(cluster) == ["use", "remove"]
    assert cluster.members == [[NEW]] * 4


def test_a_member_without_the_new_key_stops_it_before_the_old_one_goes() -> None:
    cluster = Cluster(deaf=1)
    with pytest.raises(keyring.KeyringError, match="is not on 1 of 4 nodes of the LAN of dc1, so the old one stays in use"):
        rotate(cluster)
    assert cluster.members[0] == [OLD]
    assert all(OLD in keys for keys in cluster.members)


def test_a_refusal_is_a_sentence() -> None:
    class Refusing(Cluster):
        def get(self, path: str) -> Answer:
            return Answer(status=403, data="Permission denied")

    with pytest.raises(keyring.KeyringError, match=r"did not read the gossip keys: status 403, Permission denied\. See that"):
        rotate(Refusing())
