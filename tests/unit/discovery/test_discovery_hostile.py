# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever answers: the list is kept, the agent is not flooded, and the watch comes back by itself."""

from __future__ import annotations

import functools
import json
import logging
import time
import typing as t

import pytest
from consul_discovery import Client, NotReady, agent, connection, follower, pace
from fake_consul import HANG, FakeConsul, entry, eventually, http

Connect = t.Callable[..., Client]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is given up soon, and what is too large is so soon."""
    monkeypatch.setattr(agent, "READ_SECONDS", 0.3)
    monkeypatch.setattr(follower, "Backoff", functools.partial(pace.Backoff, 0.02, 0.2))
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 1 << 20)


def without(name: str) -> bytes:
    found = entry()
    del found["Node"][name]
    found["Service"]["Address"] = ""
    return http([found])


def with_service(**fields: t.Any) -> bytes:
    return http([entry(**fields)])


BAD: t.Dict[str, t.Tuple[t.Union[bytes, object, None], str]] = {
    "500": (http(b"No cluster leader", 500), "answered 500: No cluster leader"),
    "403": (http(b"Permission denied", 403), 'answered 403: Permission denied; the token needs `service "web" { policy = "read" }`'),
    "a redirect is not followed": (http(b"", 302, Location="http://127.0.0.1:1/"), "answered 302"),
    "429": (http(b"Your IP is issuing too many concurrent connections", 429), "answered 429"),
    "no leader": (http([entry()], X_Consul_KnownLeader="false"), "knows no leader"),
    "empty without a leader": (http([], X_Consul_KnownLeader="false"), "knows no leader"),
    "hung": (HANG, "gave no whole answer within 0 s"),
    "closed": (None, "closed the connection without an answer"),
    "hung in the middle": (http([entry()], Content_Length="100000"), "gave no whole answer"),
    "hung in the middle of the last": (http([entry()], Content_Length="100000", Connection="close"), "gave no whole answer"),
    "bad chunks, and then closed": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "gave no whole answer"),
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", "gave no answer"),
    "no JSON": (http(b"[{"), "is no JSON"),
    "no text": (http(b"\xff\xfe"), "is no JSON"),
    "nothing": (http(b""), "is no JSON"),
    "JSON without end": (http(b"[" * 200_000), "is no JSON"),
    "a huge number": (http(b"[" + b"9" * 10_000 + b"]"), "JSON"),
    "larger than can be": (http(b" " * (1 << 21)), "more than"),
    "a head without end": (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n", "gave no answer"),
    "a line without end": (b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 100_000 + b"\r\n\r\n", "gave no answer"),
    "bad chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n", "gave no"),
    "an object": (http({"a": 1}), "the answer is dict, not list"),
    "null": (http(None), "the answer is NoneType"),
    "numbers": (http([1, 2]), "an entry is int"),
    "no node": (http([{"Service": {}}]), "Node is NoneType"),
    "a port of text": (with_service(port="80"), "Service.Port is str"),
    "a port that is true": (with_service(port=True), "Service.Port is bool"),
    "tags that are a word": (with_service(Tags="v2"), "Service.Tags is str"),
    "meta of numbers": (with_service(Meta={"a": 1}), "a is int"),
    "no address at all": (without("Address"), "Node.Address is NoneType"),
    "an id that is null": (with_service(ID=None), "Service.ID is NoneType"),
}


@pytest.mark.parametrize(("reply", "says"), BAD.values(), ids=BAD.keys())
def test_a_list_survives_what_is_no_answer(consul: FakeConsul, connect: Connect, reply: t.Any, says: str, caplog: pytest.LogCaptureFixture) -> None:
    consul.set(entry())
    web = connect(wait=1).watch("web")
    kept = web.wait(5)
    consul.say(lambda _unused: reply)
    eventually(lambda: says in web.problem or ("JSON" in says and "the answer" in web.problem))
    assert web.instances is kept and web.pick().id == "web-1"
    assert "\n" not in web.problem and len(web.problem) < 600
    consul.say(None)
    consul.set(entry(), entry("web-2"))
    eventually(lambda: len(web.instances) == 2)
    assert web.problem == ""
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2 and "the list of 1 instances is used on" in warnings[0] and "confirms the list of web again" in warnings[1]


@pytest.mark.parametrize(("reply", "says"), BAD.values(), ids=BAD.keys())
def test_a_first_list_does_not_come_from_what_is_no_answer(consul: FakeConsul, connect: Connect, reply: t.Any, says: str) -> None:
    consul.say(lambda _unused: reply)
    web = connect().watch("web")
    eventually(lambda: web.problem)
    with pytest.raises(NotReady):
        web.wait(0)


def test_an_answer_that_breaks_off_is_none(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry())
    web = connect().watch("web")
    web.wait(5)
    sent = http([entry(), entry("web-2")])
    consul.say(lambda _unused: (sent[:-10], None))
    eventually(lambda: "broke off in the middle of an answer" in web.problem)
    assert len(web.instances) == 1


def test_connections_that_end_with_each_answer_will_do(consul: FakeConsul, connect: Connect) -> None:
    """As a proxy may have it."""
    consul.set(entry(), Connection="close")
    web = connect().watch("web")
    web.wait(5)
    consul.set(entry("a"), Connection="close")
    eventually(lambda: web.instances[0].id == "a")
    assert web.problem == ""


def test_an_agent_that_dribbles_is_given_up(consul: FakeConsul, connect: Connect) -> None:
    """One that sends a byte now and then would otherwise be listened to for ever."""
    import socket
    import threading

    consul.stop()
    listener = socket.create_server(("127.0.0.1", 0))

    def dribble() -> None:
        connection, _unused = listener.accept()
        connection.recv(4096)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                connection.sendall(b" ")
                time.sleep(0.02)
        except OSError:
            connection.close()

    thread = threading.Thread(target=dribble, daemon=True)
    thread.start()
    web = connect(url=f"http://127.0.0.1:{listener.getsockname()[1]}").watch("web")
    eventually(lambda: "gave no whole answer" in web.problem)
    listener.close()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("address", ["", "a b", "10.0.0.1\nlisten 1", "http://x", "x/../y", "a" * 256, "$(id)", "a;b"])
def test_an_address_that_cannot_be_one_is_left_out_alone(consul: FakeConsul, connect: Connect, address: str, caplog: pytest.LogCaptureFixture) -> None:
    bad = entry("bad\x1b[2J", Address=address)
    bad["Node"]["Address"] = address
    consul.set(bad, entry("good"))
    web = connect().watch("web")
    assert [one.id for one in web.wait(5)] == ["good"]
    consul.set(bad, entry("good"), entry("good-2"))
    eventually(lambda: len(web.instances) == 2)
    lines = [record.message for record in caplog.records]
    assert len(lines) == 1 and "Left out of web: bad" in lines[0]
    assert lines[0].isprintable()


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1", "fe80::1%eth0", "db_1.internal", "A-host"])
def test_an_address_that_can_be_one_is_taken(consul: FakeConsul, connect: Connect, address: str) -> None:
    consul.set(entry(Address=address))
    assert connect().watch("web").wait(5)[0].address == address


@pytest.mark.parametrize("port", [-1, 65536, 10**30])
def test_a_port_that_cannot_be_one_is_left_out_alone(consul: FakeConsul, connect: Connect, port: int) -> None:
    consul.set(entry("bad", port=port), entry("good"))
    assert [one.id for one in connect().watch("web").wait(5)] == ["good"]


def test_an_index_that_goes_back_is_begun_again(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a"), index=100)
    web = connect().watch("web")
    web.wait(5)
    eventually(lambda: len(consul.requests) >= 3)
    replies = iter([http([entry("b")], X_Consul_Index="50"), http([entry("c")], X_Consul_Index="51")])
    consul.say(lambda _unused: next(replies, HANG))
    eventually(lambda: [one.id for one in web.instances] == ["c"])
    eventually(lambda: [request.index for request in consul.health_requests()][-4:] == [100, None, 51, 51] or consul.health_requests()[-1].index == 51)
    assert [request.index for request in consul.health_requests()] == [None, 100, None, 51]


def test_the_same_content_with_another_index_is_no_change(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry(tags=["a"]), entry("web-2"))
    web = connect().watch("web")
    first = web.wait(5)
    told: t.List[str] = []
    web.subscribe(lambda change: told.append(str(change)))
    eventually(lambda: len(told) == 2)
    for _unused in range(3):
        before = len(consul.health_requests())
        # In another order, and with other words of a check: nothing of it matters.
        other = entry(tags=["a"])
        other["Checks"][0]["Output"] = f"said {before}"
        consul.set(entry("web-2"), other)
        eventually(lambda count=before: len(consul.health_requests()) > count)
    assert web.instances is first and len(told) == 2


def test_the_client_waits_longer_than_consul_may(monkeypatch: pytest.MonkeyPatch, consul: FakeConsul, connect: Connect) -> None:
    asked: t.List[t.Tuple[str, float]] = []
    get = connection.Connection.get

    def note(self: connection.Connection, path: str, headers: t.Mapping[str, str], timeout: float) -> connection.Answer:
        asked.append((path, timeout))
        return get(self, path, headers, timeout)

    monkeypatch.setattr(connection.Connection, "get", note)
    connect(wait=60).watch("web")
    eventually(lambda: len(asked) >= 2)
    assert "wait=60000ms" in asked[-1][0] and asked[-1][1] > 60 + 60 / 16


def test_ansi_and_newlines_in_names_do_not_reach_a_log_or_terminal(consul: FakeConsul, connect: Connect) -> None:
    consul.set(entry("a\nb", tags=["x\x1b[31m"]))
    (one,) = connect().watch("web").wait(5)
    assert str(one).isprintable() and one.id == "a\nb"
    json.dumps(one.as_dict())
