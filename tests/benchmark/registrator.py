# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a Registrator: how soon a container is visible, how many are lost, what it costs to keep many.

    registrator.py --consul-binary FILE --image IMAGE [--engine URL] [--only PART] [-- COMMAND [ARG ...]]

COMMAND is started as ``COMMAND ARG... -ip 127.0.0.1 URI`` with DOCKER_HOST set; by default it is the one of this
collection. IMAGE is on the engine and has /bin/sleep. Printed is one JSON object; ``original`` holds what was measured of
gliderlabs/registrator v7.4.0 in another run, so only orders of magnitude compare. The parts:

real        a real engine and a real Consul agent of development mode:
            start_ms, stop_ms       from the engine's own event time to the agent's first answer that shows it (200 containers)
            burst_*                 200 containers started at once, then removed at once
proxied     the same through the read-only proxy of this collection, as its role does by default
large       thousands of containers of a simulated engine, see registrator_large.py
deadlines   2,000 services whose health is renewed within 30 s, watched for ten minutes: only when it is asked for

Only loopback addresses are used.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

from process import BUILD_CONTEXT, ConsulAgent, Process, names, seconds_until
from registrator_large import deadlines, large

PARTS = ("real", "proxied", "large", "deadlines")
SINGLES, BURST = 200, 200
ORIGINAL = {
    "what": "gliderlabs/registrator v7.4.0, -ip 127.0.0.1, Docker 20.10, Consul 1.8.7, two cores; 10 single containers, then 50 at once",
    "start_ms": {"median": 6.1},
    "burst": 50,
    "burst_missing": 5,
    "burst_stale": 11,
    "rss_mib": 12,
}


@contextlib.contextmanager
def proxied(engine_url: str, folder: pathlib.Path) -> t.Iterator[str]:
    """Run the read-only proxy in front of an engine; give its URL."""
    path = folder / "proxy.sock"
    command = [sys.executable, "-m", "registrator.proxy", str(path), engine_url.partition("://")[2]]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(BUILD_CONTEXT)}, stderr=subprocess.DEVNULL)
    try:
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait(20)


def event_time(engine: t.Any, container: t.Any, action: str) -> float:
    filters = {"container": container.id, "event": action}
    events = engine.api.events(since=0, until=int(time.time()) + 1, filters=filters, decode=True)
    return float(next(iter(events))["timeNano"]) / 1e9


def summary(values: t.Sequence[float]) -> t.Dict[str, float]:
    ninety_fifth = statistics.quantiles(values, n=20)[-1]
    return {"median": round(statistics.median(values), 1), "95th": round(ninety_fifth, 1), "largest": round(max(values), 1)}


def real(command: t.Sequence[str], engine_url: str, access_url: str, image: str, agent: ConsulAgent, log: t.IO[str]) -> t.Dict[str, t.Any]:
    """Measure a Registrator that reaches the engine by ``access_url``."""
    import docker

    engine = docker.DockerClient(engine_url, timeout=120)
    prefix = f"registrator-bench-{os.getpid()}"

    def create(number: int) -> t.Any:
        name = f"{prefix}-{number}"
        settings = {"ports": {"80/tcp": None}, "labels": {"SERVICE_NAME": name}, "stop_signal": "SIGKILL", "healthcheck": {"test": ["NONE"]}}
        return engine.containers.create(image, entrypoint=["/bin/sleep"], command=["900"], name=name, **settings)

    registrator = Process(command, access_url, agent.uri, log)
    try:
        figures = singles(engine, agent, create)
        figures.update(burst(agent, [create(SINGLES + number) for number in range(BURST)]))
        figures["rss_mib"] = registrator.rss_mib()
    finally:
        registrator.stop()
        for container in engine.containers.list(all=True, filters={"name": prefix}):
            container.remove(force=True, v=True)
    return figures


def singles(engine: t.Any, agent: ConsulAgent, create: t.Callable[[int], t.Any]) -> t.Dict[str, t.Any]:
    start_ms, stop_ms = [], []
    for number in range(SINGLES):
        container = create(number)
        name = container.name
        container.start()
        seen = seconds_until(lambda name=name: name in names(agent))
        # The engine answers a kill only when the container's network is down: watch meanwhile.
        killer = threading.Thread(target=container.kill)
        killer.start()
        gone = seconds_until(lambda name=name: name not in names(agent))
        killer.join()
        if seen is None or gone is None:
            raise SystemExit(f"{name} was never seen, or never gone")
        start_ms.append((seen - event_time(engine, container, "start")) * 1000)
        stop_ms.append((gone - event_time(engine, container, "die")) * 1000)
    return {"start_ms": summary(start_ms), "stop_ms": summary(stop_ms)}


def burst(agent: ConsulAgent, containers: t.Sequence[t.Any]) -> t.Dict[str, t.Any]:
    wanted = {container.name for container in containers}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda container: container.start(), containers))
        began = time.time()
        seen = seconds_until(lambda: wanted <= names(agent))
        missing = len(wanted - names(agent))
        list(pool.map(lambda container: container.kill(), containers))
        seconds_until(lambda: not wanted & names(agent))
    found = {"burst": len(wanted), "burst_missing": missing, "burst_stale": len(wanted & names(agent))}
    return {**found, "burst_visible_s": round(seen - began, 2) if seen else None}


def measured(part: str, command: t.Sequence[str], arguments: argparse.Namespace, agent: ConsulAgent, log: t.IO[str]) -> t.Dict[str, t.Any]:
    if part == "real":
        return real(command, arguments.engine, arguments.engine, arguments.image, agent, log)
    if part == "proxied":
        with proxied(arguments.engine, agent.folder) as url:
            return real(command, arguments.engine, url, arguments.image, agent, log)
    return (large if part == "large" else deadlines)(command, agent, log)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--consul-binary", required=True, type=os.path.abspath)
    parser.add_argument("--image", default="")
    parser.add_argument("--engine", default=os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    command = command or [sys.executable, "-m", "registrator"]
    figures: t.Dict[str, t.Any] = {"original": ORIGINAL, "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as name, open(pathlib.Path(name) / "registrator.log", "w") as log:
        for part in PARTS[:-1] if arguments.only is None else (arguments.only,):
            # In development mode an agent logs each of its services after each change, which costs more than all it does besides.
            agent = ConsulAgent(arguments.consul_binary, pathlib.Path(name), {"log_level": "info"})
            try:
                figures[part] = measured(part, command, arguments, agent, log)
            finally:
                agent.stop()
    figures["load_after"] = os.getloadavg()[0]
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
