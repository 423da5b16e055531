# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters of releases that were only read about: what is documented is enough, and what is missing is never good."""

from __future__ import annotations

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import keyring
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.rules import Limits, Verdict, judge
from consul_answers import EXPECTED, readings
from documented import DENIED, KEYS, RELEASES, documented


def verdict(data: object, **limits: object) -> Verdict:
    return judge(EXPECTED, readings(data), Limits(**limits))  # type: ignore[arg-type]


def left_open(found: Verdict) -> set[str]:
    return {rule.name for rule in found.rules if rule.ok is None}


@pytest.mark.parametrize("release", RELEASES)
def test_a_healthy_cluster_is_healthy(release: str) -> None:
    found = verdict(documented(release))
    assert (found.level, (found.leader or {}).get("name"), {node["version"] for node in found.nodes}) == ("healthy", "s2", {release})


@pytest.mark.parametrize("release", RELEASES)
def test_without_what_no_documentation_promises_nothing_is_wrong_and_nothing_is_taken_for_good(release: str) -> None:
    found = verdict(documented(release, stats=False))
    assert (found.level, left_open(found)) == ("unknown", {"security"})
    assert [rule.name for rule in found.rules if rule.ok is False] == []
    security = next(rule for rule in found.rules if rule.name == "security")
    assert "s1 does not show whether its gossip is encrypted" in security.evidence and "s1 does not show whether it enforces ACLs" in security.evidence
    assert verdict(documented(release, stats=False), accept_unknown=frozenset({"security"})).level == "healthy"


@pytest.mark.parametrize("release", RELEASES)
def test_members_that_were_left_out_for_want_of_permission_leave_rules_open(release: str) -> None:
    data = documented(release, stats=False)
    for answers in data["nodes"].values():
        answers["members"].update(filtered=True, data=[member for member in answers["members"]["data"] if member["Name"] != "s4"])
    found = verdict(data, accept_unknown=frozenset({"security"}))
    assert (found.level, left_open(found)) == ("unknown", {"members", "catalog", "security"})
    assert [rule.name for rule in found.rules if rule.ok is False] == []


@pytest.mark.parametrize("release", RELEASES)
def test_an_autopilot_that_is_not_content_says_so_with_a_status_of_its_own(release: str) -> None:
    data = documented(release)
    answer = data["cluster"]["autopilot"]
    answer["status"] = 429
    answer["data"].update(Healthy=False, FailureTolerance=0)
    answer["data"]["Servers"][0]["Healthy"] = False
    found = verdict(data)
    assert (found.level, {rule.name for rule in found.rules if rule.ok is False}) == ("degraded", {"autopilot"})


@pytest.mark.parametrize("words", DENIED)
def test_a_refusal_in_few_words_or_many_leaves_a_rule_open(words: str) -> None:
    data = documented("2.0.4")
    for question in ("raft", "autopilot"):
        data["cluster"][question].update(status=403, data=words)
    found = verdict(data)
    assert {"raft_peers", "autopilot"} <= left_open(found) and not any(rule.ok is False for rule in found.rules)


def test_primary_keys_beside_the_keys_change_nothing_for_a_rotation() -> None:
    class Client:
        def get(self, path: str) -> Answer:
            return Answer(status=200, data=KEYS)

    assert keyring.rotate(Client(), "one", check_mode=True) == ["use", "remove"]  # type: ignore[arg-type]
    assert keyring.rotate(Client(), "three", check_mode=True) == ["install", "use", "remove"]  # type: ignore[arg-type]
