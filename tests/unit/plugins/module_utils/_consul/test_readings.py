# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Readings of agents that give recorded answers over HTTP."""

from __future__ import annotations

import time
import typing as t
from contextlib import ExitStack
from dataclasses import replace

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, Client
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import Expected, Reader, Readings, write_probe
from ansible_collections.discovery.consul.plugins.module_utils._consul.rules import Limits, judge
from consul_answers import EXPECTED, recorded
from documented import DENIED, FILTERED, RELEASES, documented
from fake_agent import Agent

OWN = {"self": "/v1/agent/self", "members": "/v1/agent/members", "leader": "/v1/status/leader", "raft": "/v1/operator/raft/configuration"}
WHOLE = {
    "raft": "/v1/operator/raft/configuration",
    "autopilot": "/v1/operator/autopilot/health",
    "catalog": "/v1/catalog/nodes",
    "checks": "/v1/health/state/any",
    "keyring": "/v1/operator/keyring",
}
SERVERS = ["127.0.31.1", "127.0.31.2", "127.0.31.3"]


class Cluster:
    """Agents that give what was recorded, and how they are reached."""

    def __init__(self, name: t.Any, **changes: t.Any) -> None:
        self.stack = ExitStack()
        data = recorded(name) if isinstance(name, str) else name
        keys: dict[str, str] = {}
        self.agents = {node: Agent(_answers(data, node), keys, **changes.get(node, {})) for node in data["nodes"]}
        self.keys = keys
        self.looked_up: list[str] = []

    def __enter__(self) -> Cluster:
        for agent in self.agents.values():
            self.stack.enter_context(agent)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stack.close()

    @property
    def expected(self) -> list[Expected]:
        return [replace(node, http=self.agents[node.name].url) for node in EXPECTED]

    def lookup(self, endpoint: str, transport: str) -> Answer:
        self.looked_up.append(f"{endpoint} {transport}")
        return Answer(status=200, data=SERVERS)

    def read(self, **options: t.Any) -> Readings:
        budget = options.get("budget", 10)
        return Reader(self.expected, lambda url: Client(url, timeout=budget), self.lookup, **options).read()


def _answers(data: t.Any, node: str) -> dict[str, tuple[int, t.Any]]:
    found = {WHOLE[question]: answer for question, answer in data["cluster"].items() if question in WHOLE}
    found.update({OWN[question]: answer for question, answer in data["nodes"][node].items() if question in OWN})
    return {path: (answer["status"], answer["data"]) for path, answer in found.items() if answer["status"]}


def test_a_healthy_cluster_is_read_and_judged_healthy() -> None:
    with Cluster("healthy") as cluster:
        readings = cluster.read()
    assert judge(cluster.expected, readings, Limits()).level == "healthy"
    assert cluster.keys == {}
    assert len(cluster.looked_up) == 8


@pytest.mark.parametrize("release", RELEASES)
def test_what_newer_releases_are_documented_to_answer_is_read_and_judged_healthy(release: str) -> None:
    with Cluster(documented(release)) as cluster:
        found = judge(cluster.expected, cluster.read(), Limits())
    assert (found.level, {node["version"] for node in found.nodes}) == ("healthy", {release})


@pytest.mark.parametrize("release", RELEASES)
def test_a_list_that_was_filtered_says_nothing_about_what_is_not_in_it(release: str) -> None:
    data = documented(release, stats=False)
    for answers in data["nodes"].values():
        answers["members"]["data"] = [member for member in answers["members"]["data"] if member["Name"] != "s4"]
    filtered = {node: {"headers": FILTERED} for node in data["nodes"]}
    with Cluster(data, **filtered) as cluster:
        found = judge(cluster.expected, cluster.read(), Limits())
    members = next(rule for rule in found.rules if rule.name == "members")
    assert (found.level, members.ok) == ("unknown", None), members.evidence


@pytest.mark.parametrize("words", DENIED)
def test_a_refusal_is_no_failure_of_the_cluster(words: str) -> None:
    data = documented("2.0.4")
    for question in ("raft", "autopilot"):
        data["cluster"][question].update(status=403, data=words)
    with Cluster(data) as cluster:
        found = judge(cluster.expected, cluster.read(), Limits())
    rules = {rule.name: rule for rule in found.rules}
    assert (found.level, rules["autopilot"].ok) == ("unknown", None)
    assert all(words in str(rules["autopilot"]) for words in ("permission denied", "Give a token with operator:read"))


def test_the_key_is_written_through_one_server_and_read_through_another() -> None:
    with Cluster("healthy") as cluster:
        cluster.read()
    asked = {name: [verb for verb, path, _query, _token in agent.log if path.startswith("/v1/kv/_health/")] for name, agent in cluster.agents.items()}
    assert asked == {"s1": ["PUT", "DELETE"], "s2": ["GET"], "s3": [], "s4": []}
    (query,) = [query for _verb, path, query, _token in cluster.agents["s2"].log if path.startswith("/v1/kv/")]
    assert query == "consistent="


def test_without_the_probe_nothing_is_written() -> None:
    with Cluster("healthy") as cluster:
        readings = cluster.read(write=False)
    assert "write" not in readings.cluster
    assert {verb for agent in cluster.agents.values() for verb, *_rest in agent.log} == {"GET"}


def test_only_an_encrypted_cluster_is_asked_for_its_keys() -> None:
    with Cluster("healthy") as plain, Cluster("acl_token") as encrypted:
        assert "keyring" not in plain.read(gossip_keys=True).cluster
        assert encrypted.read(gossip_keys=True).cluster["keyring"].good
        assert "keyring" not in encrypted.read().cluster


def test_gossip_keys_are_asked_for_again_when_no_answer_comes() -> None:
    with Cluster("acl_token") as cluster:
        agent = cluster.agents["s1"]
        agent.answers = Lost(agent.answers, WHOLE["keyring"], times=2)
        assert cluster.read(gossip_keys=True).cluster["keyring"].good
        assert agent.asked("GET").count(WHOLE["keyring"]) == 3


def test_gossip_keys_that_never_come_are_told() -> None:
    with Cluster("acl_token") as cluster:
        agent = cluster.agents["s1"]
        agent.answers = Lost(agent.answers, WHOLE["keyring"], times=99)
        assert cluster.read(budget=2, gossip_keys=True).cluster["keyring"].error == "no answer within 1 s"


def test_a_server_that_follows_nobody_does_not_speak_for_the_cluster() -> None:
    with Cluster("healthy") as cluster:
        cluster.agents["s1"].answers["/v1/status/leader"] = (200, "")
        assert cluster.read().via == "s2"
        for agent in cluster.agents.values():
            agent.answers["/v1/status/leader"] = (200, "")
        assert cluster.read().via == "s1"


def test_a_node_that_hangs_holds_nobody_up() -> None:
    with Cluster("healthy", s1={"delay": 30}) as cluster:
        begun = time.monotonic()
        readings = cluster.read(budget=1.5)
        elapsed = time.monotonic() - begun
    assert elapsed < 2.5
    assert readings.via == "s2"
    assert readings.cluster["write"].good
    assert readings.node("s1", "self").status is None
    assert not [endpoint for endpoint in cluster.looked_up if endpoint.startswith("127.0.31.1:")]
    assert readings.dns["s1"]["udp"].error == "not asked over DNS, as its HTTP API does not answer"


def test_calls_that_need_a_leader_do_not_add_up() -> None:
    """Without a leader each takes 7 s, so they are all open at the same time."""
    with Cluster("healthy", s1={"delay": 0.3}) as cluster:
        assert cluster.read().cluster["checks"].good
    assert cluster.agents["s1"].peak == len({"raft", "autopilot", "catalog", "checks", "services", "write"})


def test_a_leader_that_is_lost_meanwhile_is_not_waited_for() -> None:
    with Cluster("healthy") as cluster:
        agent = cluster.agents["s1"]
        agent.answers = Lost(agent.answers, WHOLE["checks"], times=1)
        other = cluster.agents["s2"]
        other.answers = Later(other.answers, OWN["leader"], [other.answers[OWN["leader"]]])
        other.answers[OWN["leader"]] = (200, "")
        begun = time.monotonic()
        readings = cluster.read()
        assert time.monotonic() - begun < 5
    assert readings.cluster["checks"].status is None
    assert judge(cluster.expected, readings, Limits()).level != "healthy"


def test_a_slow_answer_is_waited_for_while_the_leader_is_there() -> None:
    with Cluster("healthy") as cluster:
        agent = cluster.agents["s1"]
        agent.answers = Lost(agent.answers, WHOLE["checks"], times=1, seconds=2)
        assert cluster.read().cluster["checks"].good


def test_nobody_answers() -> None:
    expected = [replace(node, http="http://127.0.0.1:1") for node in EXPECTED]
    readings = Reader(expected, Client, lambda endpoint, transport: pytest.fail("asked over DNS")).read()
    assert readings.via is None
    assert "Connection refused" in readings.node("s1", "self").trouble
    assert judge(expected, readings, Limits()).level == "unavailable"


def test_a_log_that_is_not_committed_yet_is_read_again() -> None:
    with Cluster("healthy") as cluster:
        committed = cluster.agents["s3"].answers["/v1/agent/self"]
        raft = {**committed[1]["Stats"]["raft"], "commit_index": "1", "last_log_index": "9"}
        pending = (200, {**committed[1], "Stats": {**committed[1]["Stats"], "raft": raft}})
        agent = cluster.agents["s3"]
        agent.answers = Later(agent.answers, "/v1/agent/self", [pending, pending])
        readings = cluster.read()
    assert readings.node("s3", "settled").data == committed[1]
    assert judge(cluster.expected, readings, Limits()).level == "healthy"


class Later(t.Dict[str, t.Tuple[int, t.Any]]):
    """Answers of which one comes only after others."""

    def __init__(self, answers: dict[str, tuple[int, t.Any]], path: str, first: list[tuple[int, t.Any]]) -> None:
        super().__init__(answers)
        self.path, self.first = path, first

    def get(self, key: str, default: t.Any = None) -> t.Any:
        return self.first.pop(0) if key == self.path and self.first else super().get(key, default)


class Lost(t.Dict[str, t.Tuple[int, t.Any]]):
    """Answers of which one gets lost on its way some times, or comes late."""

    def __init__(self, answers: dict[str, tuple[int, t.Any]], path: str, times: int, seconds: float = 30) -> None:
        super().__init__(answers)
        self.path, self.times, self.seconds = path, times, seconds

    def get(self, key: str, default: t.Any = None) -> t.Any:
        if key == self.path and self.times:
            self.times -= 1
            time.sleep(self.seconds)
        return super().get(key, default)


def probe(**answers: tuple[int, t.Any]) -> tuple[Answer, Agent]:
    """A probe at an agent that answers some verbs with something else than Consul's usual."""
    with Agent({f"{verb} /v1/kv": answer for verb, answer in answers.items()}) as agent:
        one = Client(agent.url)
        return write_probe(one, one), agent


def test_the_probe_proves_a_write() -> None:
    answer, agent = probe()
    assert answer.good
    assert agent.keys == {}
    assert [verb for verb, *_rest in agent.log] == ["PUT", "GET", "DELETE"]
    assert len({path for _verb, path, *_rest in agent.log}) == 1


def test_each_probe_has_a_key_of_its_own() -> None:
    assert probe()[1].log[0][1] != probe()[1].log[0][1]


@pytest.mark.parametrize("answer", [(500, "No cluster leader"), (403, "Permission denied")])
def test_where_nothing_was_written_nothing_is_removed(answer: tuple[int, str]) -> None:
    result, agent = probe(PUT=answer)
    assert result.status == answer[0]
    assert agent.asked("DELETE") == []


@pytest.mark.parametrize("answers", [{"PUT": (500, "leadership lost while committing log")}, {"GET": (500, "rpc error")}, {"GET": (404, "")}])
def test_what_may_have_been_written_is_removed(answers: t.Any) -> None:
    result, agent = probe(**answers)
    assert not result.good
    assert len(agent.asked("DELETE")) == 1


@pytest.mark.parametrize("body", [[{"Value": "b3RoZXI="}], [{"Value": None}], [], None])
def test_another_value_is_no_proof(body: t.Any) -> None:
    result, agent = probe(GET=(200, body))
    assert result.error == "what was written could not be read back"
    assert agent.keys == {}


def test_a_key_that_stays_is_told() -> None:
    result, _agent = probe(DELETE=(500, "rpc error"))
    assert result.status == 500
