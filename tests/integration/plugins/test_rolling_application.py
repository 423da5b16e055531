# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example playbook, on two agents: each host is out of service while it is changed, and passing before the next one."""

from __future__ import annotations

import json
import subprocess
import typing as t

import pytest
from conftest import TOP, Place
from servers import ROOT

SEEN = "{{ consul_node }} {{ lookup('discovery.consul.consul_service', 'app', want='list') | map(attribute='node') | join(',') }}\n"
RIGHTS = 'node_prefix "" { policy = "write" } service_prefix "" { policy = "read" } agent_prefix "" { policy = "read" }'

Roll = t.Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def roll(place: Place) -> t.Iterator[Roll]:
    """Run it with a change that writes down who is passing meanwhile."""
    if not (place.folder / "rolling.token").exists():
        place.server.policy("rolling", RIGHTS)
        place.token("rolling")
    for agent in place.started:
        agent.token = ROOT
        agent.put("/v1/agent/service/register", {"Name": "app", "Port": 80, "Check": {"TTL": "1h", "CheckID": "app-ttl", "Status": "passing"}})
    place.server.wait_for(lambda: len(place.server.get("/v1/health/service/app?passing")) == 2)

    def run(*tasks: t.Dict[str, t.Any], **variables: t.Any) -> subprocess.CompletedProcess[str]:
        (place.folder / "seen").write_text("")
        note = {"ansible.builtin.shell": "printf '%s\\n' \"$SEEN\" >>seen", "args": {"chdir": str(place.folder)}, "environment": {"SEEN": SEEN.strip()}}
        (place.folder / "change.yml").write_text(json.dumps([note, *tasks]))
        agents = {agent.name: agent.url for agent in place.started}
        (place.folder / "app.consul.yml").write_text(
            json.dumps({"plugin": "discovery.consul.consul_nodes", "services": ["app", "web"], "compose": {"rolling_agent": f"{agents!r}[consul_node]"}})
        )
        given = {"rolling_service": "app", "rolling_change": str(place.folder / "change.yml"), "rolling_token_file": str(place.folder / "rolling.token")}
        words = ["--inventory", str(place.folder / "app.consul.yml"), "--connection", "local", str(TOP / "playbooks" / "rolling_application.yml")]
        return place.ansible("playbook", *words, "-e", json.dumps({**given, "rolling_wait": 20, **variables}))

    yield run
    for agent in place.started:
        agent.put("/v1/agent/maintenance?enable=false")
        agent.put("/v1/agent/service/deregister/app")


def passing(place: Place) -> t.List[str]:
    return [one["Node"]["Node"] for one in place.server.get("/v1/health/service/app?passing")]


def seen(place: Place) -> t.List[str]:
    return (place.folder / "seen").read_text().splitlines()


def test_each_host_is_out_of_service_while_it_is_changed(place: Place, roll: Roll) -> None:
    done = roll()
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(seen(place)) == ["node1 node2", "node2 node1"] and sorted(passing(place)) == ["node1", "node2"]


def test_a_change_that_fails_is_the_last_one_and_its_host_is_put_back(place: Place, roll: Roll) -> None:
    done = roll({"ansible.builtin.fail": {"msg": "no such release"}})
    assert done.returncode == 2 and "no such release" in done.stdout
    assert len(seen(place)) == 1 and sorted(passing(place)) == ["node1", "node2"]


def test_a_host_that_does_not_come_back_is_the_last_one(place: Place, roll: Roll) -> None:
    sick = {
        "ansible.builtin.uri": {
            "url": "{{ rolling_agent }}/v1/agent/check/fail/app-ttl",
            "method": "PUT",
            "headers": {"X-Consul-Token": ROOT},
        }
    }
    done = roll(sick, rolling_wait=4)
    assert done.returncode == 2 and "Prove that it is passing" in done.stdout
    assert len(seen(place)) == 1 and len(passing(place)) == 1
    again = roll(rolling_hosts="node2" if seen(place)[0].startswith("node1") else "node1")
    assert again.returncode == 2 and "there are 0 instances of app that are passing" in " ".join(again.stdout.split())


def test_what_somebody_else_has_taken_out_stays_out(place: Place, roll: Roll) -> None:
    place.started[1].put("/v1/agent/maintenance?enable=true&reason=disk")
    place.server.wait_for(lambda: passing(place) == ["node1"])
    done = roll(rolling_least=0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(seen(place)) == 2 and passing(place) == ["node1"]
    refused = roll()
    assert refused.returncode == 2 and "Without node1 there are 0 instances of app" in " ".join(refused.stdout.split())
