# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One container on a fake engine: what is planned, what is done, and what comes back when it does not work out."""

from __future__ import annotations

import json
import pathlib
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._docker import converge, logs
from ansible_collections.discovery.consul.plugins.module_utils._docker.container import ASIDE, Container, ContainerError
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import Difference, Plan, specification
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import ContainerSpec
from fake_engine import FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st

Json = t.Dict[str, t.Any]

BASE = ContainerSpec(
    image="consul:1", entrypoint=["consul"], command=["agent"], environment={"A": "1"}, labels={"l": "1"}, hostname="node1", network="consul", user="100:1000"
)


def plan_for(fake: FakeEngine, spec: ContainerSpec, state: str = "started") -> tuple[Engine, Json, t.Any]:
    engine = Engine(fake.host)
    image = converge.find_image(engine, spec.image, None, may_pull=False)
    assert image is not None
    wanted = converge.container_of(engine, "node1", spec)
    return engine, wanted, converge.plan_container(engine, "node1", state, wanted, image)


def converge_to(fake: FakeEngine, spec: ContainerSpec, state: str = "started") -> list[str]:
    engine, wanted, plan = plan_for(fake, spec, state)
    converge.apply(Container(engine, "node1", lambda _live: None, stop_timeout=1, ready_timeout=1), plan, wanted, state)
    return t.cast("list[str]", plan.actions)


def test_an_engine_that_refuses_the_api_of_old_is_asked_in_its_own(fake: FakeEngine) -> None:
    """As Docker Engine 29 does, whose least API is 1.44."""
    fake.version = {"ApiVersion": "1.52", "MinAPIVersion": "1.44", "Version": "29.0.4", "Arch": "amd64"}
    assert (fake.too_old("43") or (0, {}))[0] == 400 and fake.too_old("44") is None
    assert converge_to(fake, BASE) == ["create"]
    assert converge_to(fake, BASE) == []
    assert converge_to(fake, replace(BASE, memory="64m")) == ["update"]
    assert converge_to(fake, replace(BASE, command=["agent", "-dev"])) == ["recreate"]
    assert Engine(fake.host).architecture() == "amd64"


CHANGES = [
    ("command", {"command": ["agent", "-dev"]}, "recreate"),
    ("entrypoint", {"entrypoint": ["/bin/consul"]}, "recreate"),
    ("image", {"image": "consul:2"}, "recreate"),
    ("environment.A", {"environment": {"A": "2"}}, "recreate"),
    ("environment.A", {"environment": {}}, "recreate"),
    ("environment.B", {"environment": {"A": "1", "B": "2"}}, "recreate"),
    ("labels.l", {"labels": {}}, "recreate"),
    ("labels.m", {"labels": {"l": "1", "m": "2"}}, "recreate"),
    ("user", {"user": "0:0"}, "recreate"),
    ("hostname", {"hostname": "other"}, "recreate"),
    ("published_ports", {"published_ports": ["127.0.0.1:1:1"]}, "recreate"),
    ("mounts", {"mounts": [("data", "/data", False)]}, "recreate"),
    ("capabilities_dropped", {"hardened": False}, "recreate"),
    ("groups", {"groups": ["7"]}, "recreate"),
    ("ulimits", {"nofile": 65536}, "recreate"),
    ("log", {"log_driver": "local"}, "recreate"),
    ("networks.consul.ipv4_address", {"ipv4_address": "172.30.0.9"}, "recreate"),
    ("stop_timeout", {"stop_timeout": 5}, "recreate"),
    ("restart_policy", {"restart_policy": "always"}, "update"),
    ("memory", {"memory": "64m"}, "update"),
    ("cpu_quota", {"cpus": 1.5}, "update"),
]


@pytest.fixture(autouse=True)
def daemon_options(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """The engine's own options, which are not those of this machine's."""
    monkeypatch.setattr(logs, "DAEMON_OPTIONS", str(tmp_path / "daemon.json"))
    return tmp_path / "daemon.json"


@pytest.mark.parametrize(("name", "change", "action"), CHANGES, ids=[f"{name}-{number}" for number, (name, _c, _a) in enumerate(CHANGES)])
def test_each_option_is_seen_and_done_once(fake: FakeEngine, name: str, change: Json, action: str) -> None:
    assert converge_to(fake, BASE) == ["create"]
    changed = replace(BASE, **change)
    plan = plan_for(fake, changed)[2]
    assert name in [difference.name for difference in plan.differences]
    assert plan.actions == [action]
    assert converge_to(fake, changed) == [action]
    assert converge_to(fake, changed) == []


@pytest.mark.parametrize(("_name", "change", "_action"), [c for c in CHANGES if c[0] not in ("user", "hostname", "image")])
def test_an_option_that_is_taken_away_is_seen(fake: FakeEngine, _name: str, change: Json, _action: str) -> None:
    converge_to(fake, replace(BASE, **change))
    assert converge_to(fake, BASE) in (["recreate"], ["update"])
    assert converge_to(fake, BASE) == []


specs = st.builds(
    ContainerSpec,
    image=st.sampled_from(["consul:1", "consul:2"]),
    entrypoint=st.just(["consul"]),
    command=st.lists(st.sampled_from(["agent", "-dev", "-x"]), min_size=1, max_size=3),
    environment=st.dictionaries(st.sampled_from(["A", "B", "PATH", "IMAGE"]), st.sampled_from(["", "1", "x=y"])),
    labels=st.dictionaries(st.sampled_from(["l", "from"]), st.sampled_from(["1", "image"])),
    network=st.sampled_from(["host", "consul"]),
    published_ports=st.lists(st.sampled_from(["1:1", "127.0.0.1:2:2/udp", "[::1]:3:3"]), unique=True),
    mounts=st.lists(st.sampled_from([("data", "/data", False), ("/etc/x", "/x", True)]), unique=True),
    hardened=st.booleans(),
    memory=st.sampled_from([None, "64m", "1g"]),
    cpus=st.sampled_from([None, 0.5]),
    nofile=st.sampled_from([None, 1024]),
    restart_policy=st.sampled_from(["no", "always"]),
)


@settings(max_examples=40, deadline=None)
@given(first=specs, second=specs)
def test_applied_twice_means_no_change_and_an_empty_plan_means_the_same(first: ContainerSpec, second: ContainerSpec) -> None:
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        fake = FakeEngine(str(pathlib.Path(folder) / "docker.sock"))
        try:
            converge_to(fake, first)
            assert converge_to(fake, first) == []
            before = len(fake.journal)
            predicted = plan_for(fake, second)[2].actions
            assert len(fake.journal) == before, "planning changes nothing"
            assert converge_to(fake, second) == predicted
            assert converge_to(fake, second) == []
            unchanged = (first.as_container()["Config"], first.as_container()["HostConfig"]) == (
                second.as_container()["Config"],
                second.as_container()["HostConfig"],
            )
            if unchanged:
                assert predicted == []
        finally:
            fake.close()


def reload(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch, said: bytes = b"") -> list[str]:
    """Reload the container; the calls that this makes. What is run in a container is read from a raw connection, which the fake has not."""
    converge_to(fake, BASE)
    fake.journal.clear()
    engine = Engine(fake.host)
    monkeypatch.setattr(engine.api, "exec_start", lambda command: fake.journal.append(command["Id"]) or said)
    Container(engine, "node1", lambda _live: None, lambda: fake.journal.append("undo"), stop_timeout=1, ready_timeout=1).reload()
    return fake.journal


def test_a_reload_is_no_signal_of_the_engines(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reload(fake, monkeypatch) == ["POST /containers/node1/exec", "sh -c kill -HUP 1"]


def test_a_container_that_cannot_be_reloaded_runs_as_it_was(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.has_shell = False
    with pytest.raises(ContainerError, match=r"could not be sent in the container node1: no sh \(exit code 127\)\.\n.*former configuration"):
        reload(fake, monkeypatch, b"no sh\n")
    assert fake.journal[2:] == ["undo", "POST /containers/node1/restart"]


def test_what_a_foreign_container_lacks_is_a_difference(fake: FakeEngine) -> None:
    converge_to(fake, BASE)
    del next(iter(fake.containers.values()))["Config"]["StopTimeout"]
    _engine, _wanted, plan = plan_for(fake, BASE)
    assert plan.as_dict()["differences"] == [{"name": "stop_timeout", "current": None, "wanted": 30, "needs": "recreate"}]


def test_an_image_by_another_name_is_the_same() -> None:
    spec = {name: {**BASE.as_container(), "Config": {**BASE.as_container()["Config"], "Image": name}} for name in ("consul:1", "other:1")}
    assert specification(spec["consul:1"]) == specification(spec["other:1"])


def test_a_paused_container_that_goes_on_still_takes_over_what_changed() -> None:
    paused = Difference("state", "paused", "running", "start")
    plans = [Plan((paused, Difference("config.x", 1, 2, needs))) for needs in ("reload", "restart")]
    assert [plan.actions for plan in plans] == [["start", "reload"], ["start", "restart"]]


def test_states(fake: FakeEngine) -> None:
    assert converge_to(fake, BASE, "present") == ["create"]
    assert next(iter(fake.containers.values()))["State"]["Status"] == "created"
    assert converge_to(fake, BASE) == ["start"]
    assert converge_to(fake, BASE, "present") == []
    assert converge_to(fake, BASE, "stopped") == ["stop"]
    assert converge_to(fake, replace(BASE, command=["x"]), "stopped") == ["recreate"]
    assert converge.plan_unpulled(Engine(fake.host), "node1", "consul:9").actions == ["recreate"]
    assert converge.plan_unpulled(Engine(fake.host), "node2", "consul:9").actions == ["create"]
    assert next(iter(fake.containers.values()))["State"]["Status"] == "created"


def test_a_new_container_that_ends_leaves_nothing(fake: FakeEngine) -> None:
    fake.exits.add("consul:1")
    with pytest.raises(ContainerError, match=r"ended with exit code 1\. Its last log lines:\nthe last words"):
        converge_to(fake, BASE)
    assert fake.containers == {}


def test_a_replacement_that_ends_puts_the_old_container_back(fake: FakeEngine) -> None:
    converge_to(fake, BASE)
    old = next(iter(fake.containers))
    fake.exits.add("consul:2")
    undone: list[str] = []
    engine, wanted, plan = plan_for(fake, replace(BASE, image="consul:2"))
    container = Container(engine, "node1", lambda _live: None, undo=lambda: undone.append(fake.containers[old]["State"]["Status"]))
    with pytest.raises(ContainerError, match="put back"):
        converge.apply(container, plan, wanted, "started")
    assert {(one["Id"], one["Name"], one["State"]["Status"]) for one in fake.containers.values()} == {(old, "/node1", "running")}
    assert undone == ["exited"], "the configuration was put back before the old container ran again"


def test_one_that_never_gets_ready_fails_with_the_reason(fake: FakeEngine) -> None:
    engine, wanted, plan = plan_for(fake, BASE)
    with pytest.raises(ContainerError, match=r"was not ready within 0\.2 s: it sulks"):
        converge.apply(Container(engine, "node1", lambda _live: "it sulks", ready_timeout=0.2), plan, wanted, "started")
    assert fake.containers == {}


@pytest.mark.parametrize("successor", ["none", "created", "running"])
def test_an_interrupted_replacement_is_ended(fake: FakeEngine, successor: str) -> None:
    converge_to(fake, BASE)
    engine = Engine(fake.host)
    engine.api.stop("node1")
    engine.api.rename("node1", "node1" + ASIDE)
    if successor != "none":
        converge_to(fake, replace(BASE, command=["new"]), "started" if successor == "running" else "present")
    container = Container(engine, "node1", lambda _live: None)
    predicted = container.recover_unfinished(check_mode=True)
    assert engine.container("node1" + ASIDE) is None
    shown = t.cast(Json, engine.container("node1"))["Config"]["Cmd"]
    engine.shown.clear()
    assert container.recover_unfinished(check_mode=False) == predicted
    assert predicted.actions == ["recover"]
    assert container.recover_unfinished(check_mode=False).actions == []
    assert t.cast(Json, engine.container("node1"))["Config"]["Cmd"] == shown
    (left,) = fake.containers.values()
    assert (left["Name"], left["Config"]["Cmd"]) == ("/node1", ["new"] if successor == "running" else ["agent"])


def test_an_engine_that_does_not_answer_is_a_sentence(tmp_path: t.Any) -> None:
    with pytest.raises(EngineError, match=r"does not answer .* Start it \(systemctl start docker\)"):
        Engine(f"unix://{tmp_path}/none.sock").container("node1")


def test_an_image_that_cannot_be_had_is_a_sentence(fake: FakeEngine) -> None:
    with pytest.raises(EngineError, match="is not on the Docker engine and cannot be pulled"):
        converge.find_image(Engine(fake.host), "nowhere:1", "neither:2", may_pull=True)


def test_the_fallback_is_used_without_a_pull(fake: FakeEngine) -> None:
    image = converge.find_image(Engine(fake.host), "nowhere:1", "consul:2", may_pull=True)
    assert image is not None
    assert image["Name"] == "consul:2"
    assert fake.journal == []


def test_network_problems_are_sentences(fake: FakeEngine) -> None:
    fake.networks["consul"] = {
        "IPAM": {"Config": [{"Subnet": "172.30.0.0/24"}]},
        "Containers": {"x": {"Name": "node2", "IPv4Address": "172.30.0.12/24"}},
    }
    engine = Engine(fake.host)
    for address, subnet, words in (
        ("10.0.0.1", "172.30.0.0/24", "is not in the network consul"),
        ("172.30.0.12", None, "belongs to the container node2 already"),
        ("172.30.0.11", "172.31.0.0/24", "is not in the network consul"),
        ("172.30.0", "172.30.0.0/24", "cannot have the subnet"),
        ("172.30.0.11", "172.30.0.1/24", "has host bits set"),
        (None, "172.31.0.0/24", "has the subnet 172.30.0.0/24, not 172.31.0.0/24"),
    ):
        with pytest.raises(EngineError, match=words):
            converge.check_host(engine, "node1", replace(BASE, ipv4_address=address).as_container(), subnet)
    with pytest.raises(EngineError, match="no subnet to make it with"):
        converge.check_host(engine, "node1", replace(BASE, network="other").as_container(), None)
    assert converge.check_host(engine, "node1", replace(BASE, network="other").as_container(), "172.31.0.0/24") is True
    assert fake.journal == []


def log_of(fake: FakeEngine) -> Json:
    (live,) = fake.containers.values()
    return t.cast(Json, live["HostConfig"]["LogConfig"])


def test_a_log_does_not_grow_for_ever(fake: FakeEngine) -> None:
    assert (converge_to(fake, BASE), log_of(fake)) == (["create"], logs.LIMITED)
    assert converge_to(fake, BASE) == []


def test_a_container_from_before_gets_the_limit_once(fake: FakeEngine) -> None:
    engine, _wanted, plan = plan_for(fake, BASE)
    converge.apply(Container(engine, "node1", lambda _live: None), plan, BASE.as_container(), "started")
    assert log_of(fake) == logs.UNLIMITED
    assert "log" in [difference.name for difference in plan_for(fake, BASE)[2].differences]
    assert (converge_to(fake, BASE), log_of(fake)) == (["recreate"], logs.LIMITED)
    assert converge_to(fake, BASE) == []


def test_another_driver_of_the_engine_is_left_alone(fake: FakeEngine) -> None:
    fake.info["LoggingDriver"] = "journald"
    assert (converge_to(fake, BASE), log_of(fake)["Type"]) == (["create"], "journald")
    assert converge_to(fake, BASE) == []


@pytest.mark.parametrize("options", [{"log-driver": "local"}, {"log-opts": {"max-size": "50m"}}])
def test_a_limit_of_the_engine_is_left_alone(fake: FakeEngine, daemon_options: pathlib.Path, options: Json) -> None:
    daemon_options.write_text(json.dumps(options))
    assert (converge_to(fake, BASE), log_of(fake)) == (["create"], logs.UNLIMITED)
    assert converge_to(fake, BASE) == []


@pytest.mark.parametrize("text", ["", "[]", "{broken", '{"log-opts": null}'])
def test_options_of_the_engine_that_say_nothing_are_no_limit(fake: FakeEngine, daemon_options: pathlib.Path, text: str) -> None:
    daemon_options.write_text(text)
    assert (converge_to(fake, BASE), log_of(fake)) == (["create"], logs.LIMITED)


@pytest.mark.parametrize(("option", "words"), [("name=userns", r"\(userns-remap\)"), ("name=rootless", "runs without root")])
def test_an_engine_whose_containers_are_other_users_is_refused_until_there_is_a_container(fake: FakeEngine, option: str, words: str) -> None:
    converge.judge_engine(Engine(fake.host), "node1")
    fake.info["SecurityOptions"].append(option)
    with pytest.raises(EngineError, match=words):
        converge.judge_engine(Engine(fake.host), "node1")
    assert fake.journal == []
    converge_to(fake, BASE)
    converge.judge_engine(Engine(fake.host), "node1")
