# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An empty list replaces a full one only when it is certain, or as was asked for."""

from __future__ import annotations

import typing as t

import pytest
from consul_discovery import Client, NotReady
from fake_consul import FakeConsul, Request, entry, eventually, http

Connect = t.Callable[..., Client]
SELF = {"AccessorID": "x", "SecretID": "s", "Policies": [{"ID": "1", "Name": "read-web"}]}
"""What Consul answers a token about itself."""


def full(consul: FakeConsul, connect: Connect, **options: t.Any) -> t.Any:
    """Return a watch with one instance, and what its token may do."""
    consul.rights = options.pop("rights", (200, SELF))
    consul.set(entry())
    web = connect(token="s").watch("web", **options)
    web.wait(5)
    if options.get("empty", "confirm") == "confirm":
        eventually(lambda: any(request.path == "/v1/acl/token/self" for request in consul.requests))
    eventually(lambda: consul.health_requests()[-1].index)
    return web


def empty(request: Request, certain: t.Any) -> bytes:
    return t.cast(bytes, certain) if "consistent" in request.query else http([], X_Consul_Index="20")


GONE = {"unregistered": http([], X_Consul_Index="21"), "none passing": http([entry(status="critical")], X_Consul_Index="21")}


@pytest.mark.parametrize("reply", GONE.values(), ids=GONE.keys())
@pytest.mark.parametrize("rights", [(200, SELF), (401, b"ACL support disabled")], ids=["a token that is unchanged", "no ACLs"])
def test_what_a_certain_answer_confirms_is_believed(consul: FakeConsul, connect: Connect, reply: bytes, rights: t.Any) -> None:
    web = full(consul, connect, rights=rights)
    consul.say(lambda request: empty(request, reply) if "consistent" in request.query else reply)
    eventually(lambda: not web.instances)
    assert [request.path for request in consul.requests if "consistent" in request.query or "token" in request.path][1:] == [
        "/v1/health/service/web",
        "/v1/acl/token/self",
    ]
    assert web.problem == ""


UNCERTAIN: t.Dict[str, t.Tuple[bytes, t.Any, str]] = {
    "no leader": (http([], X_Consul_KnownLeader="false"), (200, SELF), "no leader is known"),
    "nothing said of a leader": (http([], X_Consul_KnownLeader=None), (200, SELF), "no leader is known"),
    "filtered": (http([], X_Consul_Results_Filtered_By_ACLs="true"), (200, SELF), "ACLs keep something back"),
    "an error": (http(b"rpc error", 500), (200, SELF), "answered 500"),
    "other policies": (http([]), (200, {**SELF, "Policies": []}), "not known to be what it was"),
    "a token that is gone": (http([]), (403, b"ACL not found"), "not known to be what it was"),
    "rights that are no answer": (http([]), (500, b"x"), "answered 500"),
    "rights of another form": (http([]), (200, []), "not Consul's"),
}


@pytest.mark.parametrize(("certain", "rights", "says"), UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_what_is_not_certain_is_not_believed(consul: FakeConsul, connect: Connect, certain: bytes, rights: t.Any, says: str) -> None:
    web = full(consul, connect)
    kept = web.instances
    consul.rights = rights
    consul.say(lambda request: empty(request, certain))
    eventually(lambda: says in web.problem)
    assert web.instances is kept
    # When it becomes certain, it is believed; a full list is believed at once.
    consul.rights = (200, SELF)
    consul.say(None)
    consul.set(entry("new"))
    eventually(lambda: [one.id for one in web.instances] == ["new"])
    consul.set()
    eventually(lambda: not web.instances)


def test_a_change_of_rights_is_forgiven_once_there_is_a_full_list(consul: FakeConsul, connect: Connect) -> None:
    web = full(consul, connect)
    consul.rights = (200, {**SELF, "Policies": [{"ID": "2"}]})
    consul.set()
    eventually(lambda: "not known to be what it was" in web.problem)
    consul.set(entry("again"))
    eventually(lambda: [one.id for one in web.instances] == ["again"] and web.rights is not None)
    eventually(lambda: consul.health_requests()[-1].index == consul.index)
    consul.set()
    eventually(lambda: not web.instances)


def test_anonymous_readers_are_never_certain_where_there_are_acls(consul: FakeConsul, connect: Connect) -> None:
    """Consul hides from them that it hides something."""
    web = full(consul, connect, rights=(403, b"ACL not found"))
    consul.set()
    eventually(lambda: "not known to be what it was" in web.problem)
    assert web.pick().id == "web-1"


def test_the_second_answer_may_be_a_full_one(consul: FakeConsul, connect: Connect) -> None:
    web = full(consul, connect)
    consul.say(lambda request: empty(request, http([entry("other")])))
    eventually(lambda: [one.id for one in web.instances] == ["other"])


def test_keep_keeps(consul: FakeConsul, connect: Connect) -> None:
    web = full(consul, connect, empty="keep")
    kept = web.instances
    consul.set()
    eventually(lambda: "kept as was asked" in web.problem)
    assert web.instances is kept
    assert not [request for request in consul.requests if "consistent" in request.query]
    consul.set(entry("new"))
    eventually(lambda: [one.id for one in web.instances] == ["new"])


def test_accept_believes(consul: FakeConsul, connect: Connect) -> None:
    web = full(consul, connect, empty="accept")
    consul.set(X_Consul_Results_Filtered_By_ACLs="true")
    eventually(lambda: not web.instances)
    assert not [request for request in consul.requests if "consistent" in request.query]


def test_an_empty_first_list_is_a_list(consul: FakeConsul, connect: Connect) -> None:
    assert connect().watch("web").wait(5) == ()


def test_a_first_list_that_acls_emptied_is_none_and_the_right_is_named(consul: FakeConsul, connect: Connect) -> None:
    consul.set(X_Consul_Results_Filtered_By_ACLs="true")
    web = connect().watch("web")
    eventually(lambda: web.problem)
    with pytest.raises(NotReady, match=r'the token needs `service "web" \{ policy = "read" \}` and `node_prefix "" \{ policy = "read" \}`'):
        web.wait(0.01)


def test_what_acls_keep_back_of_a_list_is_said_once(consul: FakeConsul, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    consul.set(entry(), X_Consul_Results_Filtered_By_ACLs="true")
    web = connect().watch("web")
    web.wait(5)
    consul.set(entry("x"), X_Consul_Results_Filtered_By_ACLs="true")
    eventually(lambda: [one.id for one in web.instances] == ["x"])
    assert len([record for record in caplog.records if "keep back some instances" in record.message]) == 1


def test_an_unknown_policy_is_refused(connect: Connect) -> None:
    with pytest.raises(ValueError, match="empty must be one of confirm, keep, accept"):
        connect().watch("web", empty="panic")
