# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules on recorded answers, and on answers in which one thing is broken: exactly the rule for it must fail."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul.rules import RULES, Limits, Verdict, judge, skipped
from consul_answers import EXPECTED, asked_only, readings, recorded

ALL = set(RULES)
OTHER = "127.0.31.9"


def verdict_of(data: t.Any, expected: t.Any = EXPECTED, **limits: t.Any) -> Verdict:
    return judge(expected, readings(data), Limits(**{"service_checks": True, "gossip_keys": True, **limits}))


def failed(verdict: Verdict) -> set[str]:
    return {rule.name for rule in verdict.rules if rule.ok is False}


def left_open(verdict: Verdict) -> set[str]:
    return {rule.name for rule in verdict.rules if rule.ok is None}


@pytest.mark.parametrize(
    ("name", "level", "wrong", "unclear", "leader"),
    [
        ("healthy", "healthy", set(), set(), "s2"),
        # The survivors go on naming the dead leader.
        ("leader_killed", "unavailable", ALL - {"members", "security"}, set(), None),
        # Autopilot has removed the dead server, and answers 200 and healthy with two.
        ("leader_pruned", "degraded", {"servers", "raft_peers", "autopilot", "dns"}, {"replication"}, "s2"),
        ("leader_hung", "degraded", {"servers", "autopilot", "replication", "catalog", "dns"}, set(), "s1"),
        ("quorum_lost", "unavailable", ALL - {"members", "security"}, set(), None),
        # No token under default-deny: only the leader's address is for everybody.
        ("acl_denied", "unknown", set(), ALL - {"leader"}, "s2"),
        # The agents themselves have no permission to answer over DNS.
        ("acl_token", "degraded", {"dns"}, set(), "s2"),
        # A token for some nodes only: the lists are shorter, and nothing says so.
        ("acl_partial", "degraded", {"dns"}, {"servers", "raft_peers", "autopilot", "members", "security"}, "s2"),
    ],
)
def test_recorded_clusters(name: str, level: str, wrong: set[str], unclear: set[str], leader: str | None) -> None:
    verdict = verdict_of(recorded(name))
    assert (verdict.level, failed(verdict), left_open(verdict)) == (level, wrong, unclear)
    assert (verdict.leader or {}).get("name") == leader
    assert verdict.serving is (level in {"healthy", "degraded"})


def own(data: t.Any, name: str) -> list[t.Any]:
    """What a node says of itself, in each reading of it."""
    return [data["nodes"][name][question]["data"] for question in ("self", "settled") if question in data["nodes"][name]]


def set_stat(name: str, group: str, key: str, value: str) -> t.Callable[[t.Any], None]:
    def change(data: t.Any) -> None:
        for answer in own(data, name):
            answer["Stats"][group][key] = value

    return change


def set_answer(*path: str, **values: t.Any) -> t.Callable[[t.Any], None]:
    def change(data: t.Any) -> None:
        for key in path:
            data = data[key]
        data.update(values)

    return change


def set_member(seer: str, name: str, **values: t.Any) -> t.Callable[[t.Any], None]:
    def change(data: t.Any) -> None:
        member(data, seer, name).update(values)

    return change


def set_tag(seer: str, name: str, **values: str) -> t.Callable[[t.Any], None]:
    def change(data: t.Any) -> None:
        member(data, seer, name)["Tags"].update(values)

    return change


def member(data: t.Any, seer: str, name: str) -> t.Any:
    return next(member for member in data["nodes"][seer]["members"]["data"] if member["Name"] == name)


def set_entry(question: str, key: str | None, name: str, by: str, **values: t.Any) -> t.Callable[[t.Any], None]:
    """Change one entry in a list that the cluster gave."""

    def change(data: t.Any) -> None:
        answer = data["cluster"][question]["data"]
        next(entry for entry in (answer[key] if key else answer) if entry[by] == name).update(values)

    return change


def drop(name: str, by: str, *path: str) -> t.Callable[[t.Any], None]:
    """Take one entry out of a list."""

    def change(data: t.Any) -> None:
        for key in path:
            data = data[key]
        data[:] = [entry for entry in data if entry[by] != name]

    return change


def add(entry: t.Any, *path: str) -> t.Callable[[t.Any], None]:
    def change(data: t.Any) -> None:
        for key in path:
            data = data[key]
        data.append(entry)

    return change


def rename_self(data: t.Any) -> None:
    own(data, "s3")[0]["Config"]["NodeName"] = "s1"


def nobody_leads(data: t.Any) -> None:
    for answers in data["nodes"].values():
        answers["leader"]["data"] = ""


def fewer_in_autopilot(data: t.Any) -> None:
    drop("s3", "Name", "cluster", "autopilot", "data", "Servers")(data)
    data["cluster"]["autopilot"]["data"]["FailureTolerance"] = 0


def unseen(name: str) -> t.Callable[[t.Any], None]:
    def change(data: t.Any) -> None:
        drop(name, "Name", "nodes", "s3", "members", "data")(data)
        set_stat("s3", "serf_lan", "members", "3")(data)

    return change


def trailing(data: t.Any) -> None:
    for name, applied in (("s1", "1000"), ("s2", "1000"), ("s3", "0")):
        for answer in own(data, name):
            answer["Stats"]["raft"].update(commit_index="1000", last_log_index="1000", applied_index=applied)


def uncommitted(data: t.Any) -> None:
    for answer in own(data, "s3"):
        answer["Stats"]["raft"].update(commit_index="1", last_log_index="9")


def verified_tls(data: t.Any) -> None:
    own(data, "s3")[0]["DebugConfig"]["VerifyOutgoing"] = True


def nested_tls(data: t.Any) -> None:
    own(data, "s3")[0]["DebugConfig"] = {"TLS": {"InternalRPC": {"VerifyIncoming": True}}}


def no_serf_health(data: t.Any) -> None:
    checks = data["cluster"]["checks"]["data"]
    checks[:] = [{**check, "CheckID": "other"} if check["Node"] == "s4" else check for check in checks]


def same_catalog_id(data: t.Any) -> None:
    catalog = data["cluster"]["catalog"]["data"]
    catalog[0]["ID"] = catalog[1]["ID"]


def same_member_id(data: t.Any) -> None:
    member(data, "s3", "s1")["Tags"]["id"] = member(data, "s3", "s2")["Tags"]["id"]


def double_member(data: t.Any) -> None:
    data["nodes"]["s3"]["members"]["data"].append(member(data, "s3", "s1"))


def stranger(**values: t.Any) -> t.Any:
    tags = {"role": "node", "build": "1.8.7:", "dc": "dc1", "id": "x", **values.pop("Tags", {})}
    return {"Name": "s9", "Addr": OTHER, "Status": 1, "ProtocolCur": 2, "Tags": tags, **values}


PEER = {"ID": "x", "Node": "s9", "Address": f"{OTHER}:8300", "Leader": False, "Voter": True}
CRITICAL = {"Node": "s4", "CheckID": "web", "ServiceName": "web", "Status": "critical", "Output": "connection refused"}


@pytest.mark.parametrize(
    ("rule", "change", "words"),
    [
        ("servers", rename_self, "is the API of s1, not of s3"),
        ("servers", set_answer("nodes", "s3", "self", status=None, error="timed out"), "timed out"),
        ("servers", set_answer("nodes", "s3", "members", status=500, data="no"), "status 500"),
        ("servers", set_member("s3", "s2", Status=4), "s3 sees s2 as failed"),
        ("servers", set_member("s3", "s2", Status=3), "s3 sees s2 as left"),
        ("servers", unseen("s2"), "s3 does not see s2"),
        ("servers", set_tag("s3", "s2", role="node"), "s3 sees s2 as a client"),
        ("servers", set_member("s3", "s2", Addr=OTHER), f"s3 sees s2 at {OTHER}"),
        ("servers", same_member_id, "have the same id"),
        ("servers", double_member, "have the same name: s1"),
        ("servers", add(stranger(Tags={"role": "consul"}), "nodes", "s3", "members", "data"), "s3 sees the server s9"),
        ("leader", set_answer("nodes", "s3", "leader", data=""), "s3 knows no leader"),
        ("leader", set_answer("nodes", "s3", "leader", data="127.0.31.1:8300"), "different leaders are named"),
        ("leader", set_answer("nodes", "s4", "leader", status=500, data="No known Consul servers"), "No known Consul servers"),
        ("leader", set_stat("s2", "raft", "state", "Follower"), "says that it is Follower"),
        ("leader", set_entry("autopilot", "Servers", "s2", "Name", Leader=False), "autopilot says nobody"),
        ("raft_peers", set_entry("raft", "Servers", "s3", "Node", Node="(unknown)"), "that no member is"),
        ("raft_peers", set_entry("raft", "Servers", "s3", "Node", Address=f"{OTHER}:8300"), "but it is at 127.0.31.3:8300"),
        ("raft_peers", set_entry("raft", "Servers", "s3", "Node", Voter=False), "does not vote"),
        ("raft_peers", add(PEER, "cluster", "raft", "data", "Servers"), "peer s9"),
        ("raft_peers", drop("s3", "Node", "cluster", "raft", "data", "Servers"), "s3 is no raft peer"),
        ("raft_peers", drop("s3", "Node", "nodes", "s3", "raft", "data", "Servers"), "s3 has another list"),
        ("raft_peers", set_answer("cluster", "raft", data={"Servers": None}), "has no servers"),
        ("raft_peers", set_answer("cluster", "raft", status=500, data="No cluster leader"), "No cluster leader"),
        ("autopilot", set_answer("cluster", "autopilot", status=429, data={"Healthy": False, "Servers": None}), "no servers yet"),
        ("autopilot", set_answer("cluster", "autopilot", status=500, data="No cluster leader"), "No cluster leader"),
        ("autopilot", fewer_in_autopilot, "2 of 3 servers"),
        ("autopilot", set_answer("cluster", "autopilot", "data", FailureTolerance=0), "0 servers may fail, not 1"),
        ("autopilot", set_answer("cluster", "autopilot", "data", Healthy=False), "finds the servers unhealthy"),
        ("autopilot", set_entry("autopilot", "Servers", "s3", "Name", Healthy=False), "finds s3 unhealthy"),
        ("autopilot", set_entry("autopilot", "Servers", "s3", "Name", Voter=False), "s3 has no vote yet"),
        ("replication", trailing, "s3 has applied 0 of 1000 log entries"),
        ("replication", set_stat("s3", "raft", "term", "1"), "different terms"),
        ("replication", uncommitted, "s3 has log entries up to 9, but only 1"),
        ("write", set_answer("cluster", "write", status=500, data="No cluster leader"), "cannot be written"),
        ("write", set_answer("cluster", "write", status=None, error="no answer within 10 s"), "no answer within 10 s"),
        ("members", set_tag("s1", "s4", build="1.9.0:"), "different releases: s4 1.9.0, the others 1.8.7"),
        ("members", set_member("s1", "s4", ProtocolCur=3), "different gossip protocols"),
        ("members", set_tag("s1", "s4", dc="dc2"), "different datacenters"),
        ("members", add(stranger(Status=4), "nodes", "s3", "members", "data"), "s3 sees s9 as failed"),
        ("members", unseen("s4"), "s3 does not see s4"),
        ("members", set_answer("nodes", "s4", "self", status=None, error="refused"), "s4 does not say who it is"),
        ("catalog", drop("s4", "Node", "cluster", "catalog", "data"), "s4 is a member, but not in the catalog"),
        ("catalog", add({"Node": "s9", "ID": "x", "Address": OTHER, "Meta": {}}, "cluster", "catalog", "data"), "but no member"),
        ("catalog", set_entry("catalog", None, "s4", "Node", Address=OTHER), f"the catalog has s4 at {OTHER}"),
        ("catalog", same_catalog_id, "more than once"),
        ("catalog", set_entry("checks", None, "s4", "Node", Status="critical"), "serfHealth of s4 is critical"),
        ("catalog", no_serf_health, "s4 has no serfHealth check"),
        ("catalog", set_answer("cluster", "catalog", status=None, error="timed out"), "timed out"),
        ("dns", set_answer("dns", "s3", "udp", status=None, error="NXDOMAIN"), "s3 over udp has no answer"),
        ("dns", set_answer("dns", "s3", "tcp", data=["127.0.31.1", "127.0.31.2"]), "s3 over tcp gives 127.0.31.1, 127.0.31.2 instead"),
        ("dns", set_answer("dns", "s3", "udp", data=["127.0.31.1", "127.0.31.2", "127.0.31.3", OTHER]), "s3 over udp gives"),
        ("dns", set_answer("dns", "s3", "udp", data=[]), "no address"),
        ("checks", add(CRITICAL, "cluster", "checks", "data"), "check web of service web on s4 is critical: connection refused"),
        ("security", set_stat("s4", "serf_lan", "encrypted", "unknown"), "different settings for encrypted gossip"),
        ("security", set_stat("s3", "consul", "acl", "enabled"), "different settings for ACLs"),
        ("security", verified_tls, "different settings for TLS"),
        ("security", nested_tls, "different settings for TLS"),
    ],
)
def test_one_broken_thing_fails_exactly_its_rule(rule: str, change: t.Callable[[t.Any], None], words: str) -> None:
    data = recorded("healthy")
    change(data)
    verdict = verdict_of(data)
    assert failed(verdict) == {rule}
    assert verdict.level == ("unavailable" if rule == "write" else "degraded")
    (result,) = [result for result in verdict.rules if result.name == rule]
    assert words in " ".join(result.evidence)
    assert result.remedy
    assert result.summary.startswith(result.evidence[0][1:20], 1)


def test_without_a_leader_nothing_else_counts() -> None:
    data = recorded("healthy")
    nobody_leads(data)
    verdict = verdict_of(data)
    assert (verdict.level, verdict.leader, verdict.serving) == ("unavailable", None, False)


def test_a_leader_elected_during_the_reading_is_the_leader() -> None:
    data = recorded("healthy")
    for server in data["cluster"]["raft"]["data"]["Servers"]:
        server["Leader"] = server["Node"] == "s3"
    verdict = verdict_of(data)
    assert (verdict.level, failed(verdict), (verdict.leader or {})["name"]) == ("degraded", {"leader"}, "s3")


def test_without_any_answer_the_cluster_is_unavailable() -> None:
    verdict = verdict_of({"nodes": {}, "via": None, "cluster": {}, "dns": {}}, expected=asked_only())
    assert verdict.level == "unavailable"
    assert {rule.name for rule in verdict.rules if rule.ok is None} == {"dns", "members", "replication", "security"}
    assert not [rule.name for rule in verdict.rules if rule.ok]


@pytest.mark.parametrize(
    ("rules", "change"),
    [
        ({"autopilot"}, set_answer("cluster", "autopilot", status=403, data="Permission denied")),
        ({"raft_peers"}, set_answer("cluster", "raft", status=403, data="Permission denied")),
        ({"write"}, set_answer("cluster", "write", status=403, data="Permission denied")),
        ({"catalog"}, set_answer("cluster", "catalog", data=[])),
        ({"catalog", "checks"}, set_answer("cluster", "checks", data=[])),
        ({"checks"}, set_answer("cluster", "checks", filtered=True)),
        ({"servers"}, set_answer("nodes", "s3", "members", data=[])),
        ({"servers", "security"}, set_answer("nodes", "s3", "self", status=403, data="Permission denied")),
    ],
)
def test_want_of_permission_is_open_and_never_good(rules: set[str], change: t.Callable[[t.Any], None]) -> None:
    data = recorded("healthy")
    change(data)
    verdict = verdict_of(data)
    assert (verdict.level, failed(verdict), left_open(verdict)) == ("unknown", set(), rules)


@pytest.mark.parametrize(
    "change",
    [
        add({"Node": "printer", "ID": "", "Address": OTHER, "Meta": {"external-node": "true"}}, "cluster", "catalog", "data"),
        add(stranger(Status=3), "nodes", "s1", "members", "data"),
        set_answer("dns", "s3", "tcp", data=["127.0.31.3", "127.0.31.2", "127.0.31.1"]),
    ],
)
def test_what_is_no_fault(change: t.Callable[[t.Any], None]) -> None:
    data = recorded("healthy")
    change(data)
    assert verdict_of(data).level == "healthy"


def test_a_log_that_settles_is_no_fault() -> None:
    data = recorded("healthy")
    set_answer("nodes", "s3", settled=data["nodes"]["s3"]["self"])(data)
    settled = recorded("healthy")["nodes"]["s3"]["self"]
    data["nodes"]["s3"]["self"]["data"]["Stats"]["raft"].update(commit_index="1", last_log_index="9")
    assert failed(verdict_of({**data, "nodes": {**data["nodes"], "s3": {**data["nodes"]["s3"], "settled": settled}}})) == set()


def test_limits_widen_what_is_good() -> None:
    data = recorded("healthy")
    add(CRITICAL, "cluster", "checks", "data")(data)
    set_tag("s1", "s4", build="1.9.0:")(data)
    assert failed(verdict_of(data)) == {"checks", "members"}
    assert verdict_of(data, allowed_critical=1, allow_version_skew=True).level == "healthy"
    assert failed(verdict_of(recorded("leader_hung"), max_trailing_logs=10**6)) == failed(verdict_of(recorded("leader_hung"))) - {"replication"}


@pytest.mark.parametrize(("limits", "rule"), [({"datacenter": "dc2"}, "members"), ({"stable_for": 10**6}, "autopilot")])
def test_limits_narrow_what_is_good(limits: dict[str, t.Any], rule: str) -> None:
    assert failed(verdict_of(recorded("healthy"), **limits)) == {rule}


def test_stable_for_counts_by_the_clock_of_the_cluster() -> None:
    data = recorded("healthy")
    set_entry("autopilot", "Servers", "s3", "Name", StableSince="2026-01-01T00:00:00Z")(data)
    for name in ("s1", "s2"):
        set_entry("autopilot", "Servers", name, "Name", StableSince="2026-01-01T00:00:00Z")(data)
    data["cluster"]["autopilot"]["date"] = 1767225600.0 + 30
    assert verdict_of(data, stable_for=30).level == "healthy"
    assert failed(verdict_of(data, stable_for=31)) == {"autopilot"}


def test_in_check_mode_the_write_is_left_out_and_said_so() -> None:
    data = recorded("healthy")
    del data["cluster"]["write"]
    verdict = verdict_of(data, write=False)
    (write,) = [rule for rule in verdict.rules if rule.name == "write"]
    assert (verdict.level, verdict.serving, write.ok) == ("healthy", True, None)
    assert "check mode" in write.summary
    assert skipped(verdict.rules, EXPECTED, Limits(write=False)) == ["write"]
    assert verdict_of(recorded("leader_killed"), write=False).level == "unavailable"


def test_a_skipped_rule_does_not_count() -> None:
    data = recorded("leader_pruned")
    wrong = failed(verdict_of(data)) | left_open(verdict_of(data))
    verdict = verdict_of(data, skip=frozenset(wrong))
    assert verdict.level == "healthy"
    assert set(skipped(verdict.rules, EXPECTED, Limits(skip=frozenset(wrong)))) == wrong


def test_nodes_that_are_not_asked_are_judged_by_the_others() -> None:
    data = recorded("healthy")
    data["nodes"] = {"s1": data["nodes"]["s1"]}
    data["dns"] = {"s1": data["dns"]["s1"]}
    verdict = verdict_of(data, expected=asked_only("s1"))
    assert verdict.level == "healthy"
    assert [node["http"] for node in verdict.nodes] == [True, None, None, None]


def test_an_expected_address_holds() -> None:
    expected = [replace(node, address=OTHER) if node.name == "s3" else node for node in EXPECTED]
    assert failed(verdict_of(recorded("healthy"), expected=expected)) == {"servers", "dns"}


def test_a_server_that_is_expected_and_not_there() -> None:
    expected = [*EXPECTED, replace(EXPECTED[2], name="s5", address=None, http=None, dns=None)]
    verdict = verdict_of(recorded("healthy"), expected=expected)
    assert failed(verdict) == {"servers", "raft_peers", "autopilot"}
    assert verdict.nodes[-1] == {"name": "s5", "role": "server", "address": None, "state": "missing", "http": None, "version": None, "voter": False}


@pytest.mark.parametrize(
    ("keys", "messages", "words"),
    [
        ({"one": 4, "two": 4}, {}, "2 gossip keys are in use in dc1, not one"),
        ({"one": 3}, {}, "3 of 4 nodes in dc1 have a gossip key"),
        ({"one": 4}, {"s4": "no reply"}, "s4 has trouble with the gossip keys: no reply"),
    ],
)
def test_gossip_keys(keys: dict[str, int], messages: dict[str, str], words: str) -> None:
    data = recorded("acl_token")
    assert "encrypted with one key" in judged(data, "security").summary
    lan = next(pool for pool in data["cluster"]["keyring"]["data"] if not pool["WAN"])
    lan.update(Keys=keys, Messages=messages)
    security = judged(data, "security")
    assert security.ok is False
    assert words in security.evidence
    assert not [key for key in keys if key in str(security.evidence).split()]


def judged(data: t.Any, name: str, **limits: t.Any) -> t.Any:
    return next(rule for rule in verdict_of(data, **limits).rules if rule.name == name)


def test_gossip_keys_are_not_looked_at_unless_that_is_wanted() -> None:
    data = recorded("acl_token")
    del data["cluster"]["keyring"]
    security = judged(data, "security", gossip_keys=False)
    assert (security.ok, security.summary) == (True, "Gossip is encrypted, ACLs are enabled, and all nodes agree.")
    assert "security" not in failed(verdict_of(data, gossip_keys=False))


def test_critical_checks_of_applications_are_reported_and_gate_nothing() -> None:
    data = recorded("healthy")
    add(CRITICAL, "cluster", "checks", "data")(data)
    checks = judged(data, "checks", service_checks=False)
    assert (checks.ok, checks.evidence, checks.nodes) == (True, ["check web of service web on s4 is critical: connection refused"], [])
    assert "1 of" in checks.summary and "does not count" in checks.summary
    assert verdict_of(data, service_checks=False).level == "healthy"


def test_what_a_check_says_is_shown_without_what_a_terminal_would_obey() -> None:
    data = recorded("healthy")
    add({**CRITICAL, "Output": "\x1b[2Jgone\n"}, "cluster", "checks", "data")(data)
    assert judged(data, "checks").evidence == ["check web of service web on s4 is critical: ?[2Jgone"]


def test_tls_that_a_release_does_not_show_is_never_a_pass() -> None:
    data = recorded("healthy")
    own(data, "s3")[0]["DebugConfig"] = {"TLS": {"InternalRPC": {"Renamed": True}}}
    verdict = verdict_of(data)
    assert verdict.level == "unknown"
    assert "s3 does not show how it verifies TLS" in judged(data, "security").summary
    assert verdict_of(data, accept_unknown=frozenset({"checks"})).level == "unknown"
    assert verdict_of(data, accept_unknown=frozenset({"security"})).level == "healthy"
    del own(data, "s2")[0]["DebugConfig"]
    nobody_leads(data)
    assert verdict_of(data, accept_unknown=frozenset({"security"})).level == "unavailable"


def test_the_keyring_refuses_with_a_status_of_its_own() -> None:
    data = recorded("acl_token")
    set_answer("cluster", "keyring", status=500, data="Reading keyring denied by ACLs")(data)
    assert judged(data, "security").ok is None


@pytest.mark.parametrize(
    ("name", "spare"),
    [
        ("healthy", {"s1", "s2", "s3"}),
        # What does not run already can be stopped; one of the others would take the quorum with it.
        ("leader_pruned", {"s1"}),
        ("leader_hung", {"s3"}),
        ("leader_killed", set()),
        ("quorum_lost", set()),
        ("acl_denied", set()),
    ],
)
def test_which_server_the_cluster_can_do_without(name: str, spare: set[str]) -> None:
    verdict = verdict_of(recorded(name))
    assert {server for server in ("s1", "s2", "s3") if verdict.can_lose(server)} == spare


def test_a_client_that_is_gone_costs_no_server_its_turn() -> None:
    data = recorded("healthy")
    for seer in ("s1", "s2", "s3"):
        for member in data["nodes"][seer]["members"]["data"]:
            if member["Name"] == "s4":
                member["Status"] = 4
    verdict = verdict_of(data)
    assert verdict.level == "degraded"
    assert verdict.sound == {"s1", "s2", "s3"}


def test_a_server_that_trails_behind_is_not_sound() -> None:
    data = recorded("healthy")
    set_stat("s3", "raft", "applied_index", "1")(data)
    verdict = verdict_of(data, max_trailing_logs=0)
    assert "s3" not in verdict.sound
