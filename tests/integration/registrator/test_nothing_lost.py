# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens and whenever: in the end the registry equals the running containers."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import time
import typing as t

ON_IMAGE = True
HOST = socket.gethostname()
BURST = int(os.environ.get("TEST_BURST", "200"))


def names(agent: t.Any, containers: t.Any) -> t.Set[str]:
    """Return the last part of the names of our services."""
    found = (service["Service"] for service in agent.services().values())
    return {name[len(containers.prefix) + 1 :] for name in found if name.startswith(containers.prefix)}


def port_of(container: t.Any) -> int:
    container.reload()
    return int(container.attrs["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])


def at_once(call: t.Callable[[t.Any], t.Any], items: t.Iterable[t.Any]) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(call, items))


def test_many_at_once(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    registrator(agent.uri)
    many = [containers.create(str(number)) for number in range(BURST)]
    wanted = {str(number) for number in range(BURST)}

    at_once(lambda container: container.start(), many)
    agent.wait_for(lambda: names(agent, containers) == wanted, 2)

    at_once(lambda container: container.remove(force=True), many)
    agent.wait_for(lambda: not names(agent, containers), 2)


def test_a_restarted_container_has_its_new_port(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    registrator(agent.uri)
    container = containers.run("web")
    for _time in range(3):
        container.restart(timeout=0)
        wanted = port_of(container)
        agent.wait_for(lambda wanted=wanted: [s["Port"] for s in agent.services().values()] == [wanted], 5)


def test_containers_that_come_and_go_while_it_starts(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    going = [containers.run(f"going-{number}") for number in range(5)]
    coming = [containers.create(f"coming-{number}") for number in range(10)]
    one = registrator(agent.uri, wait=False)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: [container.start() for container in coming])
        pool.submit(lambda: [container.remove(force=True) for container in going])
    one.wait_until_ready()
    agent.wait_for(lambda: names(agent, containers) == {f"coming-{number}" for number in range(10)}, 5)


def test_an_agent_that_lost_everything_gets_it_back(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    registrator(agent.uri)
    containers.run("before")
    agent.wait_for(lambda: names(agent, containers) == {"before"})
    agent.stop()
    containers.run("during")
    time.sleep(6)
    agent.start()
    agent.wait_for(lambda: names(agent, containers) == {"before", "during"}, 5)
    agent.put(f"/v1/agent/service/deregister/{HOST}:{containers.prefix}-before:80")
    agent.wait_for(lambda: names(agent, containers) == {"before", "during"}, 5)


def test_an_engine_that_was_away(agent: t.Any, registrator: t.Any, containers: t.Any, proxy: t.Any) -> None:
    one = registrator(agent.uri)
    gone, stays = containers.run("gone"), containers.run("stays")
    agent.wait_for(lambda: names(agent, containers) == {"gone", "stays"})
    proxy.stop()
    gone.remove(force=True)
    stays.restart(timeout=0)
    containers.run("new")
    time.sleep(3)
    assert names(agent, containers) == {"gone", "stays"}
    proxy.start()
    agent.wait_for(lambda: names(agent, containers) == {"stays", "new"}, 5)
    agent.wait_for(lambda: port_of(stays) in {service["Port"] for service in agent.services().values()}, 5)
    assert one.log.read_text().count("trying again until it tells them") == 1


def test_a_broken_event_stream(agent: t.Any, registrator: t.Any, containers: t.Any, proxy: t.Any) -> None:
    registrator(agent.uri)
    for number in range(5):
        proxy.cut()
        containers.run(str(number))
    agent.wait_for(lambda: names(agent, containers) == set("01234"), 5)


def test_what_a_killed_registrator_left(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    one = registrator(agent.uri)
    gone = containers.run("gone", labels={"SERVICE_ID": "a/custom id"})
    containers.run("stays")
    agent.wait_for(lambda: names(agent, containers) == {"gone", "stays"})
    agent.put("/v1/agent/service/register", {"ID": f"{HOST}:by-hand:80", "Name": f"{containers.prefix}-foreign"})
    one.stop(signal.SIGKILL)
    gone.remove(force=True)
    stays = f"{containers.prefix}-stays"
    before = agent.get(f"/v1/catalog/service/{stays}")

    registrator(agent.uri)
    agent.wait_for(lambda: names(agent, containers) == {"stays", "foreign"}, 5)
    time.sleep(5)
    assert names(agent, containers) == {"stays", "foreign"}
    assert agent.get(f"/v1/catalog/service/{stays}") == before, "written though nothing had changed"


def test_cleanup_removes_what_the_original_left(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    for name in (f"{HOST}:gone.1:80", "other-host:gone.1:80", "custom"):
        agent.put("/v1/agent/service/register", {"ID": name, "Name": f"{containers.prefix}-{name.partition(':')[0]}"})
    registrator("-cleanup", agent.uri)
    agent.wait_for(lambda: names(agent, containers) == {"other-host", "custom"}, 8)


def test_two_registrators_of_one_agent_do_not_fight(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    registrator(agent.uri)
    containers.run("plain")
    containers.run("shared", labels={"SERVICE_ID": f"{containers.prefix}-shared"})
    agent.wait_for(lambda: names(agent, containers) == {"plain", "shared"})
    registrator(agent.uri, hostname="other-host")
    plain = f"{containers.prefix}-plain"
    agent.wait_for(lambda: {f"{HOST}:{plain}:80", f"other-host:{plain}:80"} <= set(agent.services()))
    # An id that both want belongs to who had it first.
    shared = f"{containers.prefix}-shared"
    assert agent.services()[shared]["Meta"]["check_registrator"].startswith(f"{HOST}/")
    before = agent.get("/v1/agent/services")
    index = [service["ModifyIndex"] for service in agent.get(f"/v1/catalog/service/{shared}")]
    time.sleep(6)
    assert agent.get("/v1/agent/services") == before
    assert [service["ModifyIndex"] for service in agent.get(f"/v1/catalog/service/{shared}")] == index


def test_no_id_reaches_what_somebody_else_registered(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    agent.put("/v1/agent/service/register", {"ID": "payments", "Name": f"{containers.prefix}-payments", "Port": 1})
    before = agent.services()
    one = registrator(agent.uri)
    ids = ["payments", "../deregister/payments", "../../../agent/leave", "x/../payments", "a//b", ".", "payments/", "payments?x", "payments#x", "a\nb"]
    hostile = [containers.run(f"hostile-{number}", labels={"SERVICE_ID": service_id}) for number, service_id in enumerate(ids)]
    honest = containers.run("honest", labels={"SERVICE_ID": "a/custom id%2e"})
    agent.wait_for(lambda: names(agent, containers) == {"payments", "honest"})
    agent.wait_for(lambda: one.log.read_text().count("warning: ") >= len(ids))
    for container in [*hostile, honest]:
        container.remove(force=True)
    agent.wait_for(lambda: names(agent, containers) == {"payments"})
    assert agent.services() == before
