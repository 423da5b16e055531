# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registrator with thousands of containers: an engine that is a small server in this process, and a real Consul.

large       cold_1000_s, cold_5000_s    from the program's start until all are in the agent
            *_floor_s, *_ratio          the same services written to such an agent by nothing but requests, and cold_s in relation to it: on a
                                        machine that is busy with other work, only this says what Registrator costs
            *_cpu_ms                    processor time for one registration, of Registrator and of Consul
            *_newcomers_ms              a container that starts meanwhile: until the agent shows it
            *_catalog_s                 until the servers know all of them, at their own pace
            held_*                      resident memory, share of a core, writes to the agent in a quiet time
            back_s, back_inspections    after the agent lost everything, and how many containers were inspected for that
            churn_growth_mib            resident memory after 10,000 start and stop events, compared with after 2,000
deadlines   critical                    times that one of 2,000 checks was found critical in ten minutes, of so many looks
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import pathlib
import sys
import tempfile
import threading
import time
import typing as t
import urllib.error

from counting_proxy import CountingProxy
from process import ConsulAgent, Process, cpu_s, seconds_until
from simulated_engine import SimulatedEngine

COLD = (1000, 5000)
EVENTS, WARM_UP = 10_000, 2_000
QUIET_S, WATCHED_S = 60.0, 600.0
WITH_HEALTH, HEALTH_TTL_S = 2000, 30
OFTEN_S, SELDOM_S = 0.25, 2.0
WRITERS = 16


def large(command: t.Sequence[str], agent: ConsulAgent, log: t.IO[str]) -> t.Dict[str, t.Any]:
    figures: t.Dict[str, t.Any] = {}
    for count in COLD:
        figures[f"cold_{count}_floor_s"] = floor(agent, count)
        print({"floor_s": figures[f"cold_{count}_floor_s"]}, file=sys.stderr)
        agent.stop()
        agent.start()
        for found in measured(command, agent, count, log):
            print(found, file=sys.stderr)
            figures.update(found)
        figures[f"cold_{count}_ratio"] = round(figures[f"cold_{count}_s"] / figures[f"cold_{count}_floor_s"], 1)
        agent.stop()
        agent.start()
    return figures


def floor(agent: ConsulAgent, count: int) -> float:
    """Return the seconds that nothing but the requests of a cold start takes."""

    def write(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", agent.ports["http"])
        for number in range(first, count, WRITERS):
            meta = {"region": "eu", "check_registrator": f"{'o' * 20}/{number:064}/0123456789ab"}
            name = {"ID": f"host:held{number}:80", "Name": f"held{number}"}
            body = json.dumps({**name, "Tags": ["a", "b"], "Port": 20_000 + number, "Address": "127.0.0.1", "Meta": meta})
            connection.request("PUT", "/v1/agent/service/register?replace-existing-checks=true", body)
            connection.getresponse().read()
        connection.close()

    began = time.time()
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    taken = time.time() - began
    assert len(agent.services()) == count
    return round(taken, 1)


def measured(command: t.Sequence[str], agent: ConsulAgent, count: int, log: t.IO[str]) -> t.Iterator[t.Dict[str, t.Any]]:
    """Give the figures of so many containers as they are measured; of the most, what holding them costs, too."""
    with tempfile.TemporaryDirectory() as folder:
        engine = SimulatedEngine(str(pathlib.Path(folder) / "engine.sock"))
        for number in range(count):
            engine.start(f"held{number}")
        door = CountingProxy(agent.ports["http"])
        began = time.time()
        consul = cpu_s(agent.process.pid)
        registrator = Process(command, f"unix://{engine.path}", f"consul://127.0.0.1:{door.port}", log, settle_s=0)
        try:
            yield cold(engine, agent, door, count, began)
            spent = {"registrator": registrator.cpu_s(), "consul": cpu_s(agent.process.pid) - consul}
            yield {
                f"cold_{count}_cpu_ms": {name: round(seconds / count * 1000, 1) for name, seconds in spent.items()},
                f"cold_{count}_rss_mib": registrator.rss_mib(),
            }
            if count == COLD[-1]:
                yield held(registrator, agent, door)
                yield lost(engine, agent, count)
                yield churn(engine, agent, registrator)
        finally:
            registrator.stop()
            engine.stop()


def cold(engine: SimulatedEngine, agent: ConsulAgent, door: CountingProxy, count: int, began: float) -> t.Dict[str, t.Any]:
    # What the agent is asked costs it time that it needs for what is measured: writes are counted before it is asked.
    seconds_until(lambda: door.writes > count / 4)
    newcomers = []
    for number in range(3):
        name = f"newcomer{number}"
        started = time.time()
        engine.start(name)
        seen = seconds_until(lambda name=name: is_there(agent, name), 0.005)
        newcomers.append(round((seen - started) * 1000) if seen else None)
    wanted = count + len(newcomers)
    done = seconds_until(lambda: door.writes >= wanted and len(agent.services()) >= wanted, 0.05)
    found = {f"cold_{count}_s": round(done - began, 1) if done else None, f"cold_{count}_newcomers_ms": newcomers}
    known = seconds_until(lambda: len(agent.get("/v1/catalog/services")) > wanted, OFTEN_S)
    return {**found, f"cold_{count}_catalog_s": round(known - began, 1) if known else None}


def is_there(agent: ConsulAgent, name: str) -> bool:
    try:
        return bool(agent.get(f"/v1/agent/health/service/name/{name}"))
    except urllib.error.HTTPError:
        return False


def held(registrator: Process, agent: ConsulAgent, door: CountingProxy) -> t.Dict[str, t.Any]:
    time.sleep(10)
    cpu, before = registrator.cpu_s(), door.writes
    time.sleep(QUIET_S)
    share = round((registrator.cpu_s() - cpu) / QUIET_S * 100, 2)
    return {"held": len(agent.services()), "held_rss_mib": registrator.rss_mib(), "held_cpu_percent": share, "held_writes": door.writes - before}


def lost(engine: SimulatedEngine, agent: ConsulAgent, count: int) -> t.Dict[str, t.Any]:
    agent.stop()
    before = engine.inspections
    agent.start()
    began = time.time()
    back = seconds_until(lambda: len(agent.services()) >= count, OFTEN_S)
    return {"back_s": round(back - began, 1) if back else None, "back_inspections": engine.inspections - before}


def churn(engine: SimulatedEngine, agent: ConsulAgent, registrator: Process) -> t.Dict[str, t.Any]:
    """Let containers come and go, a start and a stop each time, at a pace that a busy host has."""

    def some(first: int, last: int) -> float:
        for number in range(first // 2, last // 2):
            engine.start(f"churn{number}")
            time.sleep(0.006)
            engine.end(f"churn{number}")
            time.sleep(0.004)
        seconds_until(lambda: not any("churn" in service_id for service_id in agent.services()), OFTEN_S)
        return registrator.rss_mib()

    warm = some(0, WARM_UP)
    return {"churn_events": EVENTS, "churn_growth_mib": round(some(WARM_UP, EVENTS) - warm, 1)}


def deadlines(command: t.Sequence[str], agent: ConsulAgent, log: t.IO[str]) -> t.Dict[str, t.Any]:
    with tempfile.TemporaryDirectory() as folder:
        engine = SimulatedEngine(str(pathlib.Path(folder) / "engine.sock"))
        for number in range(WITH_HEALTH):
            engine.start(f"held{number}", health=True)
        registrator = Process([*command, "-health-checks", "-health-ttl", str(HEALTH_TTL_S)], f"unix://{engine.path}", agent.uri, log)
        try:
            seconds_until(lambda: len(agent.get("/v1/agent/checks")) == WITH_HEALTH, OFTEN_S)
            cpu, end, looks, critical = registrator.cpu_s(), time.time() + WATCHED_S, 0, 0
            while time.time() < end:
                checks = agent.get("/v1/agent/checks")
                looks, critical = looks + len(checks), critical + sum(check["Status"] != "passing" for check in checks.values())
                threading.Event().wait(SELDOM_S)
            share = round((registrator.cpu_s() - cpu) / WATCHED_S * 100, 1)
            return {"services": WITH_HEALTH, "ttl_s": HEALTH_TTL_S, "looks": looks, "critical": critical, "cpu_percent": share}
        finally:
            registrator.stop()
            engine.stop()
