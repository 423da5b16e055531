# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Consul agent is asked, seen by a small agent on loopback."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest
from agent import Agent
from registrator.mark import Owner
from registrator.options import Options
from registrator.registry import BadAddress, RegistryError, RegistryUnreachable, connect
from registrator.service import Health, Service

H = Owner("h", "h")
SERVICE = Service("h:web:80", "web", "10.0.0.1", 8080, "c1", ("a",), {"region": "eu"}, {"TCP": "10.0.0.1:8080", "Interval": "10s"})


def test_what_was_registered_is_found_with_the_same_fingerprint_and_our_mark(agent: Agent) -> None:
    registry = agent.registry()
    registry.register(SERVICE)
    entry = (registry.registered() or {})["h:web:80"]
    assert entry.fingerprint == registry.fingerprint(SERVICE)
    assert (entry.owner, entry.container) == ("host1", "c1")


@pytest.mark.parametrize("change", [{"port": 1}, {"tags": ("b",)}, {"meta": {}}, {"check": None}, {"container": "c2"}, {"address": ""}, {"name": "x"}])
def test_every_change_changes_the_fingerprint(agent: Agent, change: t.Dict[str, t.Any]) -> None:
    registry = agent.registry()
    assert registry.fingerprint(replace(SERVICE, **change)) != registry.fingerprint(SERVICE)


def test_an_unchanged_answer_is_not_read_twice(agent: Agent) -> None:
    registry = agent.registry()
    registry.register(SERVICE)
    first = registry.registered()
    assert registry.registered() is first
    agent.services["h:web:80"]["Port"] = 1
    assert registry.registered() is not first


def test_what_bears_no_mark_belongs_to_nobody(agent: Agent) -> None:
    agent.services = {"x": {"ID": "x", "Service": "x", "Tags": None, "Meta": None}, "y": {"ID": "y", "Meta": {"check_registrator": "odd"}}}
    assert [found.owner for found in agent.registry().registered().values()] == ["", ""]


def test_an_id_is_escaped_in_the_path_but_for_slashes(agent: Agent) -> None:
    agent.registry().deregister("my id/1?x#y", "n")
    assert agent.paths == ["/v1/agent/service/deregister/my%20id/1%3Fx%23y"]


@pytest.mark.parametrize("service_id", ["../deregister/payments", "..", "a/../../leave", "a//b", ".", "/x", "x/"])
def test_an_id_that_leads_elsewhere_is_asked_for_nowhere(agent: Agent, service_id: str) -> None:
    registry, service = agent.registry(), replace(SERVICE, id=service_id)
    for call in (lambda: registry.deregister(service_id, "n"), lambda: registry.maintain(service, "x"), lambda: registry.find(service_id)):
        with pytest.raises(RegistryError, match="cannot be a part of a path"):
            call()
    assert agent.paths == []


@pytest.mark.parametrize("code", [301, 307])
def test_nobody_is_followed_elsewhere(agent: Agent, code: int) -> None:
    agent.answer = (code, b"")
    with pytest.raises(RegistryError, match=str(code)):
        agent.registry().deregister("web", "web")
    assert agent.paths == ["/v1/agent/service/deregister/web"]


# The first as issue 17218 of Consul's repository quotes it, of a newer release; the second is what 1.8.7 says.
@pytest.mark.parametrize(
    "answer",
    [(404, b'Unknown service ID "x". Ensure that the service ID is passed, not the service name.'), (500, b'Unknown service "x"')],
)
def test_what_is_not_there_is_removed(agent: Agent, answer: t.Tuple[int, bytes]) -> None:
    agent.answer = answer
    agent.registry().deregister("x", "x")
    agent.registry().maintain(SERVICE, "x")


def test_a_release_that_takes_no_colons_in_keys_is_named(agent: Agent) -> None:
    registry = agent.registry("consulkv", "/pre")
    # As issue 22835 of Consul's repository quotes it.
    agent.answer = (500, b'invalid key name, keys should respect the "^[a-zA-Z0-9,_./\\-?&=]+$" format')
    for call in (lambda: registry.register(SERVICE), lambda: registry.deregister(registry.location(SERVICE), "web")):
        with pytest.raises(RegistryError, match=r"invalid key name.* Consul 1\.21\.5 takes no ':' in keys"):
            call()
    with pytest.raises(RegistryError, match="invalid key name") as error:
        registry.register(replace(SERVICE, id="web1"))
    assert "1.21.5" not in str(error.value)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"null", b'"x"', b"\xff"])
def test_what_is_no_answer_of_an_agent_is_a_refusal(agent: Agent, answer: bytes) -> None:
    agent.answer = (200, answer)
    registry = agent.registry()
    for call in (registry.registered, lambda: registry.find("x"), lambda: registry.end_maintenance({"x"})):
        with pytest.raises(RegistryError, match="no registry's answer"):
            call()


def test_one_service_is_asked_for(agent: Agent) -> None:
    registry = agent.registry()
    agent.answers["/v1/agent/service/none"] = (404, b"unknown service ID: none")
    agent.answers["/v1/agent/service/pay"] = (200, b'{"ID": "pay", "Service": "payments", "Address": "::1", "Port": 5, "Meta": null}')
    assert registry.find("none") is None
    found = registry.find("pay")
    assert found and (found.name, found.owner, found.id, found.endpoint) == ("payments", "", "pay", "[::1]:5")


SCRIPT = replace(SERVICE, check={"ScriptArgs": ["/bin/sh", "-c", "true"], "Interval": "10s"})


def test_a_script_that_the_agent_refuses_costs_the_check_and_not_the_service(agent: Agent) -> None:
    registry = agent.registry()
    agent.answers["/service/register"] = (400, b"Invalid check: Scripts are disabled on this agent; to enable, configure 'enable_script_checks'")
    with pytest.raises(RegistryError):
        registry.register(SCRIPT)
    first, second = (json.loads(body) for body in agent.bodies)
    assert first.pop("Check") and "Check" not in second
    assert first == second


def test_health_is_a_check_that_registrator_keeps(agent: Agent) -> None:
    registry = agent.registry()
    sick = replace(SERVICE, health=Health("critical", "Docker: unhealthy"))
    registry.register(sick)
    assert agent.services["h:web:80"]["Checks"] == [{"CheckID": "docker:h:web:80", "Name": "Docker health", "TTL": "60s", "Status": "critical"}]
    registry.report(sick)
    assert agent.paths[-1] == "/v1/agent/check/update/docker:h:web:80"
    well = replace(SERVICE, health=Health("passing"))
    assert registry.fingerprint(well) == registry.fingerprint(sick) != registry.fingerprint(SERVICE)


def test_only_our_own_maintenance_is_ended(agent: Agent) -> None:
    registry = agent.registry()
    registry.maintain(SERVICE, "the container is stopping")
    assert agent.paths == ["/v1/agent/service/maintenance/h:web:80?enable=true&reason=registrator%3A+the+container+is+stopping"]
    checks = {"ours": ("h:web:80", "registrator: x"), "others": ("h:web:80", "by hand"), "foreign": ("x", "registrator: x")}
    agent.services = {key: {"CheckID": f"_service_maintenance:{of}", "ServiceID": of, "Notes": why} for key, (of, why) in checks.items()}
    registry.end_maintenance({"h:web:80"})
    assert agent.paths[2:] == ["/v1/agent/service/maintenance/h:web:80?enable=false"]


def test_the_token_comes_from_a_file_that_is_read_again_when_it_changes(agent: Agent, tmp_path: t.Any) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    registry = agent.registry(CONSUL_HTTP_TOKEN="loses", CONSUL_HTTP_TOKEN_FILE=str(file))
    registry.ping()
    file.write_text("the second\n")
    registry.ping()
    file.unlink()
    registry.ping()
    assert [headers["X-Consul-Token"] for headers in agent.headers] == ["first", "the second", "the second"]


def test_a_token_file_that_cannot_be_read_is_told_without_a_token(agent: Agent, tmp_path: t.Any) -> None:
    with pytest.raises(RegistryError, match="CONSUL_HTTP_TOKEN_FILE cannot be read"):
        agent.registry(CONSUL_HTTP_TOKEN_FILE=str(tmp_path / "none")).ping()


def test_token_and_password_from_the_environment(agent: Agent) -> None:
    agent.registry(CONSUL_HTTP_TOKEN="t0", CONSUL_HTTP_AUTH="user:pass").ping()
    assert (agent.headers[0]["X-Consul-Token"], agent.headers[0]["Authorization"]) == ("t0", "Basic dXNlcjpwYXNz")


def test_a_refusal_names_the_missing_right(agent: Agent) -> None:
    agent.answer = (403, b"Permission denied")
    with pytest.raises(RegistryError, match=r"403 \(Permission denied\): the token needs service:write on web"):
        agent.registry().register(SERVICE)


def test_no_leader_is_no_refusal(agent: Agent) -> None:
    agent.answer = (500, b"No cluster leader")
    with pytest.raises(RegistryUnreachable):
        agent.registry().ping()


def test_nobody_answers() -> None:
    with pytest.raises(RegistryUnreachable, match="Connection refused"):
        connect(Options(registry="consul://127.0.0.1:1"), H, {}).ping()


def test_the_key_value_store(agent: Agent) -> None:
    registry = agent.registry("consulkv", "/pre/fix")
    registry.register(Service("h:web:80", "web", "2001:db8::1", 8080, "c1"))
    assert agent.paths[0].partition("?")[0] == "/v1/kv/pre/fix/web/h:web:80"
    assert "[2001:db8::1]:8080" in registry.fingerprint(Service("h:web:80", "web", "2001:db8::1", 8080, "c1"))


@pytest.mark.parametrize(
    "uri, message",
    [("foo://x", "unrecognized adapter: foo://x"), ("consul://h:port", "bad adapter uri: consul://h:port"), ("consulkv://h:1/", "bad adapter uri")],
)
def test_an_uri_that_is_not_understood(uri: str, message: str) -> None:
    with pytest.raises(BadAddress, match=message):
        connect(Options(registry=uri), H, {})


@pytest.mark.parametrize(
    "uri, environment, base",
    [
        ("consul:", {}, "http://127.0.0.1:8500"),
        ("consul://", {"CONSUL_HTTP_ADDR": "10.0.0.9:85"}, "http://10.0.0.9:85"),
        ("consul://h:1", {"CONSUL_HTTP_ADDR": "10.0.0.9:85"}, "http://h:1"),
        ("consul://", {"CONSUL_HTTP_ADDR": "https://c:85"}, "https://c:85"),
        ("consul://h:1", {"CONSUL_HTTP_SSL": "true"}, "https://h:1"),
        ("consul-tls://h:1", {}, "https://h:1"),
    ],
)
def test_where_the_agent_is(uri: str, environment: t.Dict[str, str], base: str) -> None:
    registry: t.Any = connect(Options(registry=uri), H, environment)
    assert registry._http.base == base
