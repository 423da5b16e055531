# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The waiting loop on a clock of its own, and the module's options to its result."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import health, rules
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client
from ansible_collections.discovery.consul.plugins.module_utils._consul.health import HealthError, Patience, check, expected_nodes, failure, watch
from ansible_collections.discovery.consul.plugins.module_utils._consul.rules import RULES, Limits, Verdict, judge
from ansible_collections.discovery.consul.plugins.modules import consul_cluster_health
from consul_answers import EXPECTED, readings, recorded
from test_readings import Cluster

GOOD = Verdict("healthy", True, [], None, [])
POOR = Verdict("degraded", True, [], None, [])
DOWN = Verdict("unavailable", False, [], None, [])
# A token that cannot show all, but can write.
VEILED = Verdict("unknown", True, [], None, [])


class Clock:
    """Time passes with each reading and each sleep only."""

    def __init__(self, verdicts: list[Verdict], reading: float = 0) -> None:
        self.now = 100.0
        self.verdicts, self.reading, self.taken = verdicts, reading, 0

    def read(self) -> Verdict:
        self.now += self.reading
        self.taken += 1
        return self.verdicts[min(self.taken, len(self.verdicts)) - 1]

    def watch(self, patience: Patience) -> health.Outcome:
        return watch(self.read, patience, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("verdicts", "patience", "taken", "reached"),
    [
        # Without anything to wait for there is one reading, whatever it says.
        ([DOWN, GOOD], Patience("none", samples=3), 1, True),
        ([GOOD], Patience("healthy"), 1, True),
        ([DOWN, POOR, GOOD], Patience("healthy"), 3, True),
        ([GOOD], Patience("healthy", samples=3), 3, True),
        # One bad reading, and the count begins anew.
        ([GOOD, GOOD, POOR, GOOD], Patience("healthy", samples=3), 6, True),
        ([VEILED], Patience("healthy", timeout=3), 3, False),
        ([DOWN, POOR], Patience("serving"), 2, True),
        ([VEILED], Patience("serving"), 1, True),
        ([DOWN], Patience("serving", timeout=5), 5, False),
        ([DOWN], Patience("healthy", timeout=0), 1, False),
        ([GOOD], Patience("healthy", timeout=0), 1, True),
        ([GOOD], Patience("healthy", timeout=2, samples=9), 2, False),
    ],
)
def test_readings_until_enough_are_good(verdicts: list[Verdict], patience: Patience, taken: int, reached: bool) -> None:
    clock = Clock(verdicts)
    outcome = clock.watch(patience)
    assert (clock.taken, outcome.reached) == (taken, reached)
    assert outcome.elapsed == (taken - 1) * patience.interval


@pytest.mark.parametrize("timeout", [0, 1, 7, 10, 25, 60])
@pytest.mark.parametrize("reading", [0.05, 7.2, 10])
@pytest.mark.parametrize("interval", [0.1, 1, 5])
def test_it_never_takes_longer_than_the_timeout_and_one_reading(timeout: float, reading: float, interval: float) -> None:
    outcome = Clock([DOWN], reading).watch(Patience("healthy", timeout=timeout, interval=interval))
    assert outcome.elapsed <= timeout + reading
    assert not outcome.reached


@pytest.mark.parametrize(
    ("name", "wait_for", "words"),
    [
        (
            "leader_killed",
            "serving",
            ["The cluster is unavailable after 60 s, not serving. Rule leader: 127.0.31.", "still named", "Start servers until", "write"],
        ),
        ("leader_pruned", "healthy", ["The cluster is degraded after 60 s, not healthy. Rule servers: s1 does not say who it is", "Start the servers"]),
        (
            "acl_denied",
            "healthy",
            [
                "The cluster is unknown after 60 s",
                "permission denied",
                "Give a token with agent:read, node:read, operator:read, key:write on _health/, service:read, or skip the rules.",
            ],
        ),
    ],
)
def test_a_failure_is_node_evidence_and_remedy(name: str, wait_for: str, words: list[str]) -> None:
    verdict = judge(EXPECTED, readings(recorded(name)), Limits())
    sentence = failure(health.Outcome(verdict, 0, 60, False), {"verdict": verdict.level, "skipped_rules": []}, Patience(wait_for), Limits())
    assert [part for part in words if part not in sentence] == []


def test_too_few_good_readings_are_told_as_such() -> None:
    sentence = failure(health.Outcome(GOOD, 2, 60, False), {"verdict": "healthy", "skipped_rules": []}, Patience("healthy", samples=9), Limits())
    assert sentence.startswith("The cluster is healthy, but only 2 of 9 readings")


def params(**changes: t.Any) -> dict[str, t.Any]:
    defaults = {name: spec.get("default") for name, spec in consul_cluster_health.ARGUMENTS.items()}
    return {**defaults, "servers": [{"name": "s1", "http": "http://127.0.0.1:8500"}], **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"servers": []}, "No server is expected"),
        ({"clients": [{"name": "s1"}]}, "s1 is among the servers and clients more than once"),
        ({"servers": [{"name": "s1"}]}, "No node can be asked"),
        ({"ask": []}, "No node can be asked"),
        ({"ask": ["s2"]}, "s2 is to be asked, but is neither"),
        ({"clients": [{"name": "s2"}], "ask": ["s2"]}, "s2 is to be asked, but has no `http`"),
        ({"clients": [{"name": "s2", "http": "10.0.0.1"}]}, "s2: 10.0.0.1 gave no answer"),
        ({"clients": [{"name": "s2", "dns": "host:port"}]}, "s2: host:port is no HOST:PORT"),
        ({"request_timeout": 7}, "request_timeout is 7 s, but Consul takes 7 s"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_is_asked(changes: dict[str, t.Any], words: str) -> None:
    with pytest.raises(HealthError, match=words):
        expected_nodes(params(**changes))


def test_who_is_not_asked_loses_the_addresses() -> None:
    given = [{"name": name, "address": "10.0.0.1", "http": f"http://{name}:8500", "dns": f"{name}:8600"} for name in ("s1", "s2")]
    one, two = expected_nodes(params(servers=given, ask=["s2"]))
    assert (one.address, one.http, one.dns) == ("10.0.0.1", None, None)
    assert (two.http, two.dns) == ("http://s2:8500", "s2:8600")


def given(cluster: Cluster, server: bool) -> list[dict[str, t.Any]]:
    return [{"name": node.name, "address": node.address, "http": node.http} for node in cluster.expected if node.server is server]


def test_the_module_from_options_to_result() -> None:
    with Cluster("healthy") as cluster:
        result = check(params(servers=given(cluster, True), clients=given(cluster, False), token="secret", wait_for="healthy"), False)
    assert (result["verdict"], result["failed_rules"], result["skipped_rules"], result["samples"]) == ("healthy", [], ["dns"], 1)
    assert result["leader"] == {"name": "s2", "address": "127.0.31.2:8300"}
    assert [node["voter"] for node in result["nodes"]] == [True, True, True, False]
    assert result["can_lose"] == ["s1", "s2", "s3"]
    assert {token for agent in cluster.agents.values() for *_rest, token in agent.log} == {"secret"}
    assert "secret" not in str(result)


def test_of_three_servers_with_one_down_none_can_be_lost() -> None:
    with Cluster("leader_killed") as cluster:
        result = check(params(servers=given(cluster, True), wait_for="serving", timeout=0), False)
    assert result["can_lose"] == []


@pytest.mark.parametrize(("former", "name"), [("degraded", "serving"), ("spare", "can_lose_node"), ("voter", "node_is_voter")])
def test_a_former_name_waits_for_the_same(former: str, name: str) -> None:
    with Cluster("healthy") as cluster:
        for agent in cluster.agents.values():
            agent.answers["/v1/status/leader"] = (200, "")
        failures = [check(params(servers=given(cluster, True), wait_for=wait, node="s2", timeout=0), False)["failure"] for wait in (former, name)]
    assert [f"not {Patience(name, 's2').wanted}." in sentence for sentence in failures] == [True, True]


def test_the_module_in_check_mode_writes_nothing() -> None:
    with Cluster("healthy") as cluster:
        result = check(params(servers=given(cluster, True), skip_rules=["autopilot"]), True)
    assert (result["verdict"], result["skipped_rules"]) == ("healthy", ["autopilot", "write", "dns"])
    assert {verb for agent in cluster.agents.values() for verb, *_rest in agent.log} == {"GET"}


def test_the_module_tells_what_did_not_come() -> None:
    with Cluster("healthy") as cluster:
        cluster.agents["s3"].answers["/v1/status/leader"] = (200, "")
        result = check(params(servers=given(cluster, True), wait_for="healthy", timeout=0), False)
    assert "Rule leader: s3 knows no leader." in result["failure"]
    assert result["failed_rules"] == ["leader"]


@pytest.mark.parametrize(
    ("changes", "verify", "cert"),
    [
        ({}, True, None),
        ({"ca_cert": "/ca.pem"}, "/ca.pem", None),
        ({"ca_cert": "/ca.pem", "validate_certs": False}, False, None),
        ({"client_cert": "/both.pem"}, True, "/both.pem"),
        ({"client_cert": "/cert.pem", "client_key": "/key.pem"}, True, ("/cert.pem", "/key.pem")),
    ],
)
def test_certificates_come_as_the_library_wants_them(monkeypatch: pytest.MonkeyPatch, changes: dict[str, t.Any], verify: t.Any, cert: t.Any) -> None:
    made: list[tuple[t.Any, ...]] = []

    def client(url: str, *options: t.Any) -> t.Any:
        made.append(options)
        return Client(url)

    monkeypatch.setattr(health.client, "Client", client)
    with Cluster("healthy") as cluster:
        check(params(servers=given(cluster, True), token="secret", **changes), False)
    assert set(made) == {("secret", verify, cert, 10)}


def test_the_documented_rules_are_the_rules() -> None:
    assert list(RULES) == consul_cluster_health.RULES


def test_a_rule_that_is_told_first_is_a_rule() -> None:
    assert set(health.TELLING) <= set(rules.RULES)
