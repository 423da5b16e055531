# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the original cannot do, on a real engine and a real Consul."""

from __future__ import annotations

import json
import pathlib
import subprocess
import typing as t
import urllib.request

import pytest
from conftest import CONSUL
from consul_agent import ConsulAgent, free_port


def service_id(agent: t.Any, containers: t.Any, name: str = "web", seconds: float = 10) -> str:
    """Wait for the service of this name, and return its id."""
    found = agent.wait_for(lambda: [i for i, s in agent.services().items() if s["Service"] == f"{containers.prefix}-{name}"], seconds)
    return t.cast(str, found[0])


SECOND = 10**9
# The shortest start period: none at all would mean the image's.
HEALTHCHECK = {"test": ["CMD-SHELL", "test -e /tmp/well"], "interval": SECOND, "timeout": SECOND, "retries": 1, "start_period": SECOND // 1000}


def test_health_and_pauses(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    registrator("-health-checks", "-health-ttl", "5", agent.uri)
    container = containers.run("web", healthcheck=HEALTHCHECK)
    web = service_id(agent, containers)
    check = f"docker:{web}"
    agent.wait_for(lambda: agent.status_of(web) == {check: "critical"})
    container.exec_run("touch /tmp/well")
    agent.wait_for(lambda: agent.status_of(web) == {check: "passing"})
    container.pause()
    agent.wait_for(lambda: agent.status_of(web) == {check: "critical"}, 5)
    container.unpause()
    agent.wait_for(lambda: agent.status_of(web) == {check: "passing"}, 10)


def test_health_stays_as_long_as_registrator_keeps_it(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    one = registrator("-health-checks", "-health-ttl", "5", agent.uri)
    container = containers.run("web", "touch /tmp/well; exec sleep 900", healthcheck=HEALTHCHECK)
    web = service_id(agent, containers)
    agent.wait_for(lambda: agent.status_of(web) == {f"docker:{web}": "passing"})
    with pytest.raises(AssertionError, match="not within"):
        agent.wait_for(lambda: agent.status_of(web) != {f"docker:{web}": "passing"}, 8)
    one.stop()
    agent.wait_for(lambda: agent.status_of(web) == {f"docker:{web}": "critical"}, 10)
    container.kill()


@pytest.mark.parametrize("mode", ["deregister", "maintenance"])
def test_a_container_leaves_before_it_ends(agent: t.Any, registrator: t.Any, containers: t.Any, mode: str) -> None:
    registrator("-on-container-stop", mode, agent.uri)
    container = containers.run("web", 'trap "sleep 4; exit" TERM; while true; do sleep 0.1; done', stop_signal="SIGTERM")
    web = service_id(agent, containers)
    container.kill("SIGTERM")
    if mode == "deregister":
        agent.wait_for(lambda: web not in agent.services(), 2)
    else:
        agent.wait_for(lambda: agent.status_of(web) == {f"_service_maintenance:{web}": "critical"}, 2)
    container.reload()
    assert container.status == "running"
    agent.wait_for(lambda: web not in agent.services(), 10)


def test_services_are_in_maintenance_while_registrator_is_away(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    one = registrator("-on-exit", "maintenance", agent.uri)
    containers.run("web")
    web = service_id(agent, containers)
    assert one.stop() == 0
    assert agent.status_of(web) == {f"_service_maintenance:{web}": "critical"}
    registrator(agent.uri)
    agent.wait_for(lambda: agent.status_of(web) == {}, 5)


def test_services_are_deregistered_on_exit_when_asked(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    one = registrator("-on-exit", "deregister", agent.uri)
    containers.run("web")
    web = service_id(agent, containers)
    assert one.stop() == 0
    assert web not in agent.services()


def test_services_stay_on_exit_by_default(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    one = registrator(agent.uri)
    containers.run("web")
    web = service_id(agent, containers)
    assert one.stop() == 0
    assert web in agent.services()


def test_on_success_keeps_what_failed(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    registrator("-deregister", "on-success", agent.uri)
    containers.run("failed", "sleep 2; exit 3")
    containers.run("done", "sleep 2; exit 0")
    failed, done = service_id(agent, containers, "failed"), service_id(agent, containers, "done")
    agent.wait_for(lambda: done not in agent.services(), 10)
    assert failed in agent.services()


def test_a_chosen_network(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    network = containers.engine.networks.create(f"{containers.prefix}-net")
    try:
        registrator("-internal", agent.uri)
        container = containers.create("web", labels={"registrator.network": network.name})
        network.connect(container)
        container.start()
        web = service_id(agent, containers)
        container.reload()
        assert agent.services()[web]["Address"] == container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    finally:
        containers.remove()
        network.remove()


def test_health_and_metrics_of_its_own(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    port = free_port()
    registrator("-listen", f"127.0.0.1:{port}", "-log-format", "json", agent.uri, wait=False)
    containers.run("web")
    service_id(agent, containers)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
        assert {**json.load(answer), "queue": 0} == {"healthy": True, "engine": True, "registry": True, "services": 1, "queue": 0}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert "\nregistrator_registrations_total 1.0\n" in text
    assert "\nregistrator_registry_up 1.0\n" in text


def test_json_lines(agent: t.Any, registrator: t.Any) -> None:
    one = registrator("-log-format", "json", agent.uri)
    one.stop()
    assert all({"time", "level", "message"} <= set(json.loads(line)) for line in one.log.read_text().splitlines())


def test_consul_over_a_socket_file(tmp_path: pathlib.Path, agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    path = tmp_path / "consul.sock"
    agent.listen_on(path)
    registrator(f"consul-unix://{path}")
    containers.run("web")
    service_id(agent, containers)


def test_consul_over_tls_with_a_client_certificate(tmp_path: pathlib.Path, registrator: t.Any, containers: t.Any) -> None:
    for words in ("ca create", "cert create -server -additional-ipaddress=127.0.0.1", "cert create -client"):
        subprocess.run([CONSUL, "tls", *words.split()], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    server = {"cert_file": "dc1-server-consul-0.pem", "key_file": "dc1-server-consul-0-key.pem", "ca_file": "consul-agent-ca.pem"}
    port = free_port()
    agent = ConsulAgent(CONSUL, tmp_path, {"ports": {"https": port}, "verify_incoming_https": True, **server})
    try:
        registrator(
            f"consul-tls://127.0.0.1:{port}",
            CONSUL_CACERT=str(tmp_path / "consul-agent-ca.pem"),
            CONSUL_CLIENT_CERT=str(tmp_path / "dc1-client-consul-0.pem"),
            CONSUL_CLIENT_KEY=str(tmp_path / "dc1-client-consul-0-key.pem"),
        )
        containers.run("web")
        service_id(agent, containers)
    finally:
        agent.stop()


def test_a_missing_right_is_named_and_a_new_token_is_taken(tmp_path: pathlib.Path, registrator: t.Any, containers: t.Any) -> None:
    management = "11111111-2222-3333-4444-555555555555"
    agent = ConsulAgent(CONSUL, tmp_path, {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": management}}})
    agent.token = management
    token = tmp_path / "token"
    try:
        for name, rules in (("none", ""), ("right", 'service_prefix "" { policy = "write" }')):
            agent.wait_for(lambda name=name, rules=rules: agent.put("/v1/acl/policy", {"Name": name, "Rules": rules}) is None)
        secrets = {name: agent.put("/v1/acl/token", {"Policies": [{"Name": name}]}, answer=True)["SecretID"] for name in ("none", "right")}
        token.write_text(secrets["none"])
        one = registrator(agent.uri, CONSUL_HTTP_TOKEN_FILE=str(token))
        containers.run("web")
        agent.wait_for(lambda: f"the token needs service:write on {containers.prefix}-web" in one.log.read_text())
        token.write_text(secrets["right"] + "\n")
        service_id(agent, containers, seconds=20)
        assert not any(secret in one.log.read_text() for secret in secrets.values())
    finally:
        agent.stop()


def test_any_metadata_is_registered_by_a_real_consul(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    odd = {
        "SERVICE_A.B": "dots",
        "SERVICE_CONSUL-X": "reserved",
        "SERVICE_": "empty",
        "SERVICE_LONG": "x" * 600,
        "SERVICE_CHECK_TCP": "true",
        "SERVICE_CHECK_INTERVAL": "soon",
        "SERVICE_CHECK_TIMEOUT": "9999999999h",
        "SERVICE_CHECK_INITIAL_STATUS": "fine",
        "SERVICE_CHECK_DEREGISTER_AFTER": "never",
        "SERVICE_TAGS": "ü,a b, ,\\,",
    }
    one = registrator(agent.uri)
    containers.run("web", labels=odd)
    web = service_id(agent, containers)
    assert agent.services()[web]["Meta"]["a_b"] == "dots"
    for key in ("A.B", "CONSUL-X", "", "LONG", "CHECK_INTERVAL", "CHECK_TIMEOUT", "CHECK_INITIAL_STATUS", "CHECK_DEREGISTER_AFTER"):
        assert f"SERVICE_{key}" in one.log.read_text()


def test_a_script_is_a_check_only_where_it_is_asked_for_and_the_agent_runs_it(
    tmp_path: pathlib.Path, agent: t.Any, registrator: t.Any, containers: t.Any
) -> None:
    container = containers.run("web", labels={"SERVICE_CHECK_SCRIPT": "true"})
    first = registrator(agent.uri)
    web = service_id(agent, containers)
    assert agent.status_of(web) == {}
    assert "-script-checks does not allow" in first.log.read_text()
    first.stop()
    second = registrator("-script-checks", agent.uri)
    agent.wait_for(lambda: "the agent runs none: registered without it" in second.log.read_text())
    assert (agent.status_of(web), list(agent.services())) == ({}, [web])
    second.stop()
    container.kill()
    (tmp_path / "scripts").mkdir()
    willing = ConsulAgent(CONSUL, tmp_path / "scripts", {"enable_script_checks": True})
    try:
        registrator("-script-checks", willing.uri)
        container.start()
        willing.wait_for(lambda: willing.status_of(service_id(willing, containers)) == {f"service:{web}": "passing"})
    finally:
        willing.stop()
