# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list is subscribed to, waited for, picked from, and follows what the agent says."""

from __future__ import annotations

import concurrent.futures
import pickle
import threading
import time
import timeit
import typing as t

import pytest
from consul_discovery import Client, Closed, ConfigurationError, NoInstances, NotReady, TooManyWatches, by_meta, least_outstanding, random
from fake_consul import HANG, FakeConsul, entry, eventually, http

Connect = t.Callable[..., Client]


def test_the_first_list_is_waited_for_and_picked_from(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry(port=8080, tags=["v2"], Meta={"zone": "a"}))
    web = connect().watch("web", tags=["v2"])
    assert [one.id for one in web.wait(5)] == ["web-1"]
    found = web.pick()
    assert (found.id, found.service, found.node, found.address, found.port) == ("web-1", "web", "node1", "10.0.0.2", 8080)
    assert (found.tags, dict(found.meta), found.status, found.url("/x")) == (("v2",), {"zone": "a"}, "passing", "http://10.0.0.2:8080/x")
    assert consul.requests[0].query == {"tag": ["v2"]}


def test_watching_returns_at_once_and_a_list_that_does_not_come_is_not_ready(consul: FakeConsul, connect: Connect) -> None:
    consul.say(lambda _unused: HANG)
    web = connect().watch("web")
    with pytest.raises(NotReady, match="Consul has not answered yet"):
        web.pick()
    with pytest.raises(NotReady, match=r"Consul has not answered within 0.01 s"):
        web.wait(0.01)
    assert web.age is None


def test_not_ready_says_why(consul: FakeConsul, connect: Connect) -> None:
    consul.stop()
    web = connect().watch("web")
    eventually(lambda: web.problem)
    with pytest.raises(NotReady, match="refuses connections: no agent listens there"):
        web.wait(0.01)


def test_one_watch_for_each_name_and_tags(consul: FakeConsul, connect: Connect) -> None:
    client = connect()
    assert client.watch("web", tags=["b", "a"]) is client.watch("web", tags=("a", "b"))
    assert client.watch("web", tags=["a"]) is not client.watch("web")
    with pytest.raises(ConfigurationError, match="web is watched already, with warning=False"):
        client.watch("web", warning=True)
    # Each asks once, then waits for changes.
    eventually(lambda: len(consul.health_requests()) == 6)
    assert len(consul.connections) == 3


@pytest.mark.parametrize(
    ("service", "tags", "says"), [("", [], "not empty"), ("a\nb", [], "control characters"), ("web", "v2", r"write \['v2'\]"), ("web", [""], "not empty")]
)
def test_names_that_cannot_be_are_refused(connect: Connect, service: str, tags: t.Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        connect().watch(service, tags=tags)


def test_a_name_is_not_a_path(consul: FakeConsul, connect: Connect) -> None:
    connect().watch("../x?index=1", tags=["a&b"]).wait(5)
    assert consul.requests[0].path == "/v1/health/service/..%2Fx%3Findex%3D1"
    assert consul.requests[0].query == {"tag": ["a&b"]}


def test_there_are_at_most_150_watches(consul: FakeConsul, connect: Connect) -> None:
    client = connect()
    watches = [client.watch(f"s{number}") for number in range(150)]
    with pytest.raises(TooManyWatches, match="an agent takes 200 from one address"):
        client.watch("one-more")
    assert client.watch("s7") is watches[7]
    watches[7].close()
    client.watch("one-more")
    with pytest.raises(Closed):
        watches[7].pick()


def test_lists_are_tuples_that_are_exchanged(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"))
    web = connect().watch("web")
    first = web.wait(5)
    consul.set(entry("a"), entry("b"))
    assert isinstance(first, tuple) and [one.id for one in first] == ["a"]
    eventually(lambda: [one.id for one in web.instances] == ["a", "b"])
    with pytest.raises(AttributeError):
        first[0].port = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        first[0].meta["x"] = "y"  # type: ignore[index]
    assert pickle.loads(pickle.dumps(first)) == first
    assert len({first[0], first[0]}) == 1


def test_strategies(consul: FakeConsul, connect: Connect) -> None:
    consul.set(*(entry(name, Meta={"zone": zone}) for name, zone in (("a", "x"), ("b", "y"), ("c", "y"))))
    web = connect().watch("web")
    web.wait(5)
    turns = [web.pick().id for _unused in range(6)]
    assert sorted(turns[:3]) == ["a", "b", "c"] and turns[3:] == turns[:3]
    assert {web.pick(random).id for _unused in range(200)} == {"a", "b", "c"}
    assert {web.pick(by_meta("zone", "y")).id for _unused in range(10)} == {"b", "c"}
    assert {web.pick(by_meta("zone", "nowhere")).id for _unused in range(10)} == {"a", "b", "c"}
    for strategy in (least_outstanding, by_meta("zone", "y", least_outstanding)):
        with pytest.raises(ValueError, match=r"only call\(\) knows"):
            web.pick(strategy)


def test_picking_takes_less_than_two_microseconds(consul: FakeConsul, connect: Connect) -> None:
    consul.set(*(entry(f"web-{number}") for number in range(100)))
    web = connect().watch("web")
    web.wait(5)
    assert min(timeit.repeat(web.pick, number=10_000, repeat=20)) / 10_000 < 2e-6


def test_a_hundred_threads_cause_no_request(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"), entry("b"))
    web = connect().watch("web")
    web.wait(5)
    eventually(lambda: len(consul.health_requests()) == 2)  # the second one waits for changes
    before, barrier = len(consul.requests), threading.Barrier(100)

    def use(_unused: int) -> str:
        barrier.wait()
        return "".join(web.pick().id + web.call(lambda one: one.id) for _unused in range(50))

    with concurrent.futures.ThreadPoolExecutor(100) as threads:
        found = "".join(threads.map(use, range(100)))
    assert abs(found.count("a") - found.count("b")) <= 1, "round robin is the same turn for all threads"
    assert len(consul.requests) == before


@pytest.mark.parametrize("warning", [False, True])
def test_passing_only_warning_by_option_and_maintenance_never(consul: FakeConsul, connect: Connect, warning: bool) -> None:
    ill = entry("w", status="warning")
    kept = [entry("m"), entry("n")]
    kept[0]["Checks"].append({"CheckID": "_service_maintenance:m", "Status": "critical"})
    kept[1]["Checks"].append({"CheckID": "_node_maintenance", "Status": "critical"})
    consul.set(entry("p"), ill, entry("c", status="critical"), entry("s", status="nonsense"), *kept)
    web = connect().watch("web", warning=warning)
    assert [one.id for one in web.wait(5)] == ["p", "w"][: 1 + warning]
    assert {one.id: one.status for one in web.registered} == {
        "p": "passing", "w": "warning", "c": "critical", "s": "critical", "m": "maintenance", "n": "maintenance",
    }  # fmt: skip
    assert all("passing" not in request.query for request in consul.requests)


def test_none_registered_and_none_passing_are_told_apart(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a", status="critical"), entry("b", status="warning"))
    web = connect().watch("web")
    assert web.wait(5) == ()
    with pytest.raises(NoInstances, match="No instance of web can be used: 2 registered, 0 passing, as of") as error:
        web.pick()
    assert (error.value.registered, error.value.passing, error.value.age is not None) == (2, 0, True)
    consul.set()
    eventually(lambda: not web.registered)
    with pytest.raises(NoInstances, match="0 registered, 0 passing"):
        web.call(lambda one: one.id)


def test_a_missing_address_is_the_nodes(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry(Address=""))
    assert connect().watch("web").wait(5)[0].address == "10.0.0.1"


def test_the_same_id_on_two_nodes_is_two_instances(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("web"), entry("web", node="node2"))
    assert len(connect().watch("web").wait(5)) == 2


def test_urls_of_ipv6_and_of_no_port(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a", Address="fd00::1", port=80), entry("b", port=0))
    a, b = connect().watch("web").wait(5)
    assert a.url("x", scheme="https") == "https://[fd00::1]:80/x"
    with pytest.raises(ValueError, match="registered without a port"):
        b.url()


def test_the_age_is_since_consul_last_answered(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry())
    web = connect().watch("web")
    web.wait(5)
    first = web.age
    assert first is not None
    grown = eventually(lambda: web.age if web.age and web.age > first + 0.1 else None)
    consul.set(entry())
    eventually(lambda: t.cast(float, web.age) < t.cast(float, grown))


def test_a_client_that_was_closed_says_so(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry())
    client = connect()
    web = client.watch("web")
    web.wait(5)
    client.close()
    client.close()
    for use in (web.pick, web.wait, lambda: web.instances, lambda: web.call(str), lambda: web.subscribe(print), lambda: client.watch("x")):
        with pytest.raises(Closed):
            use()


@pytest.mark.parametrize("state", ["waits", "hangs", "refuses"])
def test_closing_takes_less_than_a_second(consul: FakeConsul, connect: Connect, state: str) -> None:
    consul.set(entry())
    client = connect()
    watches = [client.watch(f"s{number}") for number in range(20)]
    watches[0].wait(5)
    if state == "hangs":
        consul.say(lambda _unused: HANG)
    elif state == "refuses":
        consul.stop()
        eventually(lambda: watches[0].problem)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 1
    if state != "refuses":
        eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("consul-discovery-s")])


def test_waiting_ends_when_the_client_is_closed(consul: FakeConsul, connect: Connect) -> None:
    consul.say(lambda _unused: HANG)
    client = connect()
    web = client.watch("web")
    with concurrent.futures.ThreadPoolExecutor() as threads:
        waiting = threads.submit(web.wait)
        client.close()
        with pytest.raises(Closed):
            waiting.result(5)


def test_a_unix_socket_is_an_agent_too(consul: FakeConsul, connect: Connect, tmp_path: t.Any) -> None:
    import socket

    path = str(tmp_path / "consul.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def answer() -> None:
            connection, _unused = listener.accept()
            assert b"Host: localhost" in connection.recv(4096)
            connection.sendall(http([entry()]))
            connection.recv(4096)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        client = connect(url=f"unix://{path}")
        assert client.watch("web").wait(5)
        client.close()
        thread.join(5)
