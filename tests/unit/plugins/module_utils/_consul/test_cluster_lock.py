# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One play at a time changes a cluster: who holds the lock, who is refused, and what becomes of it without a leader."""

from __future__ import annotations

import json
import typing as t
from base64 import b64encode

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import cluster_lock
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, ConsulError
from ansible_collections.discovery.consul.plugins.modules import consul_lock

Json = t.Dict[str, t.Any]

OURS: Json = {"user": "alice", "controller": "one", "pid": 11, "started": "100", "kernel": "a"}
THEIRS: Json = {"user": "bob", "controller": "two", "pid": 22, "started": "200", "kernel": "b"}
KEY = consul_lock.ARGUMENTS["key"]["default"]


class Cluster:
    """Sessions and keys as Consul keeps them. `trouble` is the answer to everything that needs a leader."""

    def __init__(self) -> None:
        self.sessions: dict[str, Json] = {}
        self.keys: dict[str, Json] = {}
        self.index = 10
        self.made = 0
        self.leader = "10.0.0.1:8300"
        self.trouble: Answer | None = None
        self.silent = False

    def get(self, path: str, **params: str) -> Answer:
        if path == "/v1/status/leader":
            return Answer(status=200, data=self.leader)
        return self._led() or (Answer(status=200, data=[self.keys[path]]) if path in self.keys else Answer(status=404, data=""))

    def put(self, path: str, data: str, **params: str) -> Answer:
        refused = self._led()
        if refused:
            return refused
        *_parts, action, name = path.split("/")
        if name == "create":
            identity = f"session-{self.made}"
            self.made += 1
            self.sessions[identity] = json.loads(data)
            return Answer(status=200, data={"ID": identity})
        if action == "renew":
            return Answer(status=200 if name in self.sessions else 404, data=None)
        if action == "destroy":
            self.expire(name)
            return Answer(status=200, data=True)
        return Answer(status=200, data=self._acquire(path, data, params["acquire"]))

    def delete(self, path: str, data: str = "", **params: str) -> Answer:
        assert params["cas"] == str(self.keys[path]["ModifyIndex"]), "the lock of somebody else would go"
        del self.keys[path]
        return Answer(status=200, data=True)

    def expire(self, session: str) -> None:
        self.sessions.pop(session, None)
        for entry in self.keys.values():
            if entry.get("Session") == session:
                entry.pop("Session")

    def _acquire(self, path: str, data: str, session: str) -> bool:
        assert session in self.sessions
        if self.keys.get(path, {}).get("Session", session) != session:
            return False
        self.index += 1
        self.keys[path] = {"Session": session, "Value": b64encode(data.encode()).decode(), "ModifyIndex": self.index}
        return True

    def _led(self) -> Answer | None:
        if self.silent:
            raise ConsulError("http://c", "ReadTimeout: timed out")
        return self.trouble


def ask(cluster: t.Any, holder: Json | None = None, check_mode: bool = False, **options: t.Any) -> Json:
    given = {name: argument.get("default") for name, argument in consul_lock.ARGUMENTS.items()}
    return cluster_lock.outcome(cluster, {**given, "holder": holder or OURS, **options}, check_mode)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_one_play_holds_it_through_a_session_that_no_check_ends(cluster: Cluster) -> None:
    taken = ask(cluster)
    assert taken == {"changed": False, "leaderless": False, "session": "session-0"}
    session = cluster.sessions["session-0"]
    assert (session["Checks"], session["NodeChecks"], session["Behavior"], session["TTL"]) == ([], [], "release", "900s")
    assert ask(cluster)["session"] == "session-0", "the same play holds it once"
    assert ask(cluster, state="renewed", session="session-0")["session"] == "session-0"


def test_another_play_is_refused_told_who_holds_it_and_leaves_no_session(cluster: Cluster) -> None:
    ask(cluster)
    refused = ask(cluster, THEIRS)
    assert refused["failed"] and refused["held_by"] == OURS
    assert refused["msg"].startswith("Another play changes this cluster: alice@one:11, since 20")
    assert f"({KEY}). Wait until it has ended. If you know that it is dead, break its lock with break_holder: alice@one:11;" in refused["msg"]
    assert list(cluster.sessions) == ["session-0"]


def test_released_it_is_free_and_nothing_is_left(cluster: Cluster) -> None:
    session = ask(cluster)["session"]
    assert ask(cluster, state="absent", session=session)["session"] == ""
    assert (cluster.keys, cluster.sessions) == ({}, {})
    assert not ask(cluster, THEIRS).get("failed")


def test_a_lock_that_somebody_else_has_meanwhile_is_left_to_him(cluster: Cluster) -> None:
    session = ask(cluster)["session"]
    cluster.expire(session)
    theirs = ask(cluster, THEIRS)["session"]
    lost = ask(cluster, state="renewed", session=session)
    assert lost["failed"] and lost["held_by"] == THEIRS
    assert "was lost: it was not renewed for 900 s, or somebody broke it, and is held by bob@two:22" in lost["msg"]
    ask(cluster, state="absent", session=session)
    assert cluster.keys[f"/v1/kv/{KEY}"]["Session"] == theirs


def test_a_session_that_ended_while_nobody_else_wanted_the_lock_gets_a_successor(cluster: Cluster) -> None:
    session = ask(cluster)["session"]
    cluster.expire(session)
    renewed = ask(cluster, state="renewed", session=session)
    assert not renewed.get("failed") and renewed["session"] == "session-1"
    assert cluster.keys[f"/v1/kv/{KEY}"]["Session"] == "session-1"


def test_a_lock_that_somebody_had_and_let_go_was_lost(cluster: Cluster) -> None:
    session = ask(cluster)["session"]
    cluster.expire(session)
    theirs = ask(cluster, THEIRS)["session"]
    ask(cluster, THEIRS, state="absent", session=theirs)
    assert "and is free" in ask(cluster, state="renewed", session=session)["msg"]


@pytest.mark.parametrize(("options", "broken"), [({"dead": OURS}, True), ({"break_holder": "alice@one:11"}, True), ({"break_holder": "alice@one:12"}, False)])
def test_only_the_lock_of_who_is_named_is_broken(cluster: Cluster, options: Json, broken: bool) -> None:
    ask(cluster)
    taken = ask(cluster, THEIRS, **options)
    assert bool(taken.get("failed")) != broken
    assert taken.get("taken_from") == (OURS if broken else None)
    assert broken == ("session-0" not in cluster.sessions)
    assert not broken or "The lock of another play was broken: alice@one:11" in taken["warnings"][0]


def test_whatever_else_is_in_the_key_names_nobody_and_breaks_no_line(cluster: Cluster) -> None:
    ask(cluster)
    entry = cluster.keys[f"/v1/kv/{KEY}"]
    for text in ("", "[]", "nonsense", '{"holder": {"user": "x"}, "since": 1}', '{"holder": 3}'):
        entry["Value"] = b64encode(text.encode()).decode() or None
        refused = ask(cluster, THEIRS)
        assert refused["held_by"] == {} and "Another play changes this cluster: unnamed (" in refused["msg"]
    hostile = {**OURS, "user": "a\nfatal: " + "x" * 500, "pid": "11"}
    entry["Value"] = b64encode(json.dumps({"holder": hostile, "since": 1e300}).encode()).decode()
    refused = ask(cluster, THEIRS)
    assert "\n" not in refused["msg"] and len(refused["msg"]) < 700 and refused["held_by"]["pid"] == 11
    assert ask(cluster, THEIRS, break_holder=f"a?fatal: {'x' * 91}@one:11")["session"]


@pytest.mark.parametrize("words", ["No cluster leader", "rpc error making call: No cluster leader", "No known Consul servers"])
@pytest.mark.parametrize("state", ["present", "renewed", "absent"])
def test_without_a_leader_it_is_no_failure(cluster: Cluster, state: str, words: str) -> None:
    session = ask(cluster)["session"]
    cluster.trouble = Answer(status=500, data=words)
    result = ask(cluster, state=state, session=session)
    assert (result["leaderless"], result.get("failed")) == (True, None) and words in result["reason"]


def test_a_server_that_hangs_or_refuses_while_it_follows_nobody_has_no_leader(cluster: Cluster) -> None:
    cluster.leader, cluster.silent = "", True
    assert ask(cluster)["leaderless"]
    cluster.silent, cluster.trouble = False, Answer(status=403, data="ACL not found")
    assert ask(cluster)["leaderless"]


def test_one_that_has_a_leader_and_does_not_answer_or_refuses_is_a_failure(cluster: Cluster) -> None:
    cluster.silent = True
    with pytest.raises(ConsulError, match="timed out"):
        ask(cluster)
    cluster.silent, cluster.trouble = False, Answer(url="http://c", status=403, data="Permission denied")
    with pytest.raises(ApiError, match=r"did not show the lock: http://c: status 403, Permission denied\. Give a token with session_prefix"):
        ask(cluster)


def test_check_mode_asks_nobody(cluster: Cluster) -> None:
    cluster.silent = True
    assert ask(cluster, check_mode=True) == {"changed": False, "leaderless": False, "session": ""}


def test_it_waits_for_who_lets_it_go(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    session = ask(cluster)["session"]
    from ansible_collections.discovery.consul.plugins.module_utils._consul import api

    monkeypatch.setattr(api.time, "sleep", lambda seconds: ask(cluster, state="absent", session=session))
    assert ask(cluster, THEIRS, wait=60)["session"] == "session-1"
