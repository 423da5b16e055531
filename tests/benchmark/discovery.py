# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed instance costs those who call its service, each in its own way, in one run with a real Consul, nginx and HAProxy.

The library, nginx behind the renderer, HAProxy by DNS, and a poller of 30 s call the same instances at the same pace. Every few seconds one of them is
killed and taken out of Consul, as Registrator does within milliseconds, and another one starts. Printed as JSON:

told_median_s, told_largest_s   from the kill until the instance is in the list no more
calls, failed                   a call counts after what its way of calling tries again by itself
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("python/consul_discovery/src", "tests/integration/registrator", "tests/integration/discovery"):
    sys.path.insert(0, str(ROOT / folder))

import consul_agent  # noqa: E402 - from the folders above
from backends import Backend, Ledger  # noqa: E402
from consul_discovery import Client, Instance  # noqa: E402
from proxies import Haproxy, Nginx  # noqa: E402
from servers import Server  # noqa: E402

ALIVE, KILLS, BETWEEN_KILLS_S = 6, 24, 5.0
PAUSE_S, LOOK_S, PATIENCE_S = 0.02, 0.005, 60.0
POLLS_S = 30.0
MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20
"""HAProxy's administrative states: forced, inherited, by the configuration, and because DNS does not name it."""


def get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=5) as answer:
        answer.read()


class Consumer:
    """One way of finding and calling: `call` raises OSError when the call failed, `knows` says whether a port is in its list."""

    def __init__(self, name: str, call: t.Callable[[], None], knows: t.Callable[[int], bool]) -> None:
        self.name, self.call, self.knows = name, call, knows
        self.calls = self.failed = 0
        self.told: t.List[float] = []

    def load(self, over: threading.Event) -> None:
        while not over.wait(PAUSE_S):
            self.calls += 1
            try:
                self.call()
            except OSError:
                self.failed += 1

    def forgets(self, port: int, killed: float) -> None:
        while self.knows(port):
            if time.monotonic() > killed + PATIENCE_S:
                raise RuntimeError(f"{self.name} still has port {port} after {PATIENCE_S} s")
            time.sleep(LOOK_S)
        self.told.append(time.monotonic() - killed)

    def figures(self) -> t.Dict[str, t.Any]:
        told = {"told_median_s": round(statistics.median(self.told), 3), "told_largest_s": round(max(self.told), 3)}
        return {"consumer": self.name, **told, "calls": self.calls, "failed": self.failed}


def library(url: str, stack: contextlib.ExitStack) -> Consumer:
    web = stack.enter_context(Client(url)).watch("web")
    web.wait(10)

    def call(instance: Instance) -> None:
        get(instance.url())

    return Consumer("library", lambda: web.call(call, attempts=3, retry_on=(OSError,)), lambda port: any(one.port == port for one in web.instances))


def rendered(image: str, url: str, folder: pathlib.Path, stack: contextlib.ExitStack) -> Consumer:
    proxy = Nginx(image, folder, url)
    stack.callback(proxy.container.remove)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python/consul_discovery/src")}
    words = [sys.executable, "-m", "consul_discovery", "render", "--config", str(proxy.config)]
    process = stack.enter_context(subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL))
    stack.callback(process.terminate)
    return Consumer("renderer and nginx", lambda: get(f"http://127.0.0.1:{proxy.port}/"), lambda port: f":{port} " in proxy.target.read_text())


def by_dns(image: str, dns: int, folder: pathlib.Path, stack: contextlib.ExitStack) -> Consumer:
    proxy = Haproxy(image, folder, dns, statistics=True)
    stack.callback(proxy.container.remove)
    return Consumer("HAProxy by DNS", lambda: get(f"http://127.0.0.1:{proxy.port}/"), lambda port: port in used(proxy.statistics))


def used(path: pathlib.Path) -> t.Set[int]:
    """The ports that HAProxy sends requests to."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"show servers state\n")
        lines = b"".join(iter(lambda: connection.recv(65536), b"")).decode().splitlines()
    names = next(line for line in lines if line.startswith("# be_id")).lstrip("# ").split()
    rows = [dict(zip(names, line.split())) for line in lines if line and line[0].isdigit() and " " in line]
    # Down by its own check, or in maintenance because DNS does not name it any more.
    return {int(row["srv_port"]) for row in rows if row["srv_op_state"] != "0" and not int(row["srv_admin_state"]) & MAINTENANCE}


class Poller:
    """What many write themselves: asks every 30 s, and calls what it was answered."""

    def __init__(self, url: str) -> None:
        self._url, self._chance = f"{url}/v1/health/service/web?passing", random.Random(1)
        self.ports: t.List[int] = []
        self.ask()

    def ask(self) -> None:
        with urllib.request.urlopen(self._url, timeout=5) as answer:
            self.ports = [one["Service"]["Port"] for one in json.load(answer)]

    def run(self, over: threading.Event) -> None:
        while not over.wait(POLLS_S):
            self.ask()

    def consumer(self) -> Consumer:
        return Consumer("poller of 30 s", lambda: get(f"http://127.0.0.1:{self._chance.choice(self.ports)}/"), lambda port: port in self.ports)


def kill_and_replace(ledger: Ledger, alive: t.List[Backend], consumers: t.Sequence[Consumer], pool: concurrent.futures.Executor) -> None:
    watching = []
    for _number in range(KILLS):
        time.sleep(BETWEEN_KILLS_S)
        victim = alive.pop(0)
        killed = time.monotonic()
        ledger.end(victim.name, abruptly=True)
        watching += [pool.submit(one.forgets, victim.port, killed) for one in consumers]
        alive.append(ledger.start())
    for one in watching:
        one.result()


def ready(consumers: t.Sequence[Consumer], ports: t.Sequence[int]) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError):
            for one in consumers:
                one.call()
            if all(one.knows(port) for one in consumers for port in ports):
                return
        if time.monotonic() > end:
            raise RuntimeError("not every consumer found every instance")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--consul", required=True, help="Consul's program")
    parser.add_argument("--image", required=True, help="image with nginx and HAProxy")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(200) as pool:
        folder, over = pathlib.Path(name), threading.Event()
        consul = Server(given.consul, folder, "node1", {"ports": {"dns": consul_agent.free_port()}})
        stack.callback(consul.kill)
        consul.ready()
        ledger = Ledger(consul)
        stack.callback(ledger.stop)
        alive = [ledger.start() for _number in range(ALIVE)]
        poller = Poller(consul.url)
        consumers = [
            library(consul.url, stack),
            rendered(given.image, consul.url, folder, stack),
            by_dns(given.image, consul.ports["dns"], folder, stack),
            poller.consumer(),
        ]
        ready(consumers, [one.port for one in alive])
        for one in consumers:
            pool.submit(one.load, over)
        pool.submit(poller.run, over)
        try:
            kill_and_replace(ledger, alive, consumers, pool)
        finally:
            over.set()
        for one in consumers:
            print(json.dumps(one.figures()))


if __name__ == "__main__":
    main()
