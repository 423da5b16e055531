# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx that the renderer keeps up to date, under load: no request fails that could be answered."""

from __future__ import annotations

import concurrent.futures
import http.client
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
import typing as t

import consul_discovery
import pytest
from backends import Ledger
from fake_consul import eventually
from proxies import Nginx, failed_and_answered
from servers import Server, cluster, leader_of

IMAGE = os.environ.get("TEST_PROXIES_IMAGE", "")
REQUESTS = 10_000

pytestmark = pytest.mark.skipif(not IMAGE, reason="TEST_PROXIES_IMAGE is not set")

Result = t.Tuple[float, float, str]


@pytest.fixture
def nginx(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[[str], Nginx]]:
    made: t.List[Nginx] = []

    def start(consul: str) -> Nginx:
        made.append(Nginx(IMAGE, tmp_path, consul))
        return made[-1]

    yield start
    for one in made:
        print(one.container.logs()[-2000:])
        one.container.remove()


@pytest.fixture
def render(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[[Nginx], pathlib.Path]]:
    """Run the renderer until the test is over."""
    started: t.List[subprocess.Popen[bytes]] = []
    log = tmp_path / "render.log"

    def start(nginx: Nginx) -> pathlib.Path:
        path = {**os.environ, "PYTHONPATH": str(pathlib.Path(consul_discovery.__file__).parents[1])}
        words = [sys.executable, "-m", "consul_discovery", "render", "--config", str(nginx.config)]
        started.append(subprocess.Popen(words, stderr=log.open("w"), env=path))
        return log

    yield start
    for process in started:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in log.read_text()


def request(port: int) -> Result:
    began, error = time.monotonic(), ""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            error = f"{answer.status} {body[:80]!r}"
    except (OSError, http.client.HTTPException) as found:
        error = repr(found)
    finally:
        connection.close()
    return began, time.monotonic(), error


def test_a_list_that_nginx_refuses_is_put_back(server: t.Callable[..., Server], nginx: t.Any, render: t.Any) -> None:
    """An upstream without servers is an error to nginx, and the file that it reads stays the one that it can read."""
    consul = server().ready()
    consul.register("a")
    proxy = nginx(consul.url)
    log = render(proxy)
    eventually(lambda: proxy.target.exists() and "10.0.0.1:80" in proxy.target.read_text(), 30)
    good = proxy.target.read_bytes()
    consul.deregister("a")
    eventually(lambda: "no servers are inside upstream" in log.read_text(), 30)
    assert proxy.target.read_bytes() == good
    consul.register("b", port=81)
    eventually(lambda: "10.0.0.1:81" in proxy.target.read_text(), 30)


def test_no_request_fails_that_could_be_answered(server: t.Callable[..., Server], nginx: t.Any, render: t.Any) -> None:
    servers = cluster(server)
    leader = leader_of(servers)
    asked, registers = (one for one in servers if one is not leader)
    ledger = Ledger(registers)
    for _unused in range(4):
        ledger.start()
    proxy = nginx(asked.url)
    log = render(proxy)
    eventually(lambda: not request(proxy.port)[2], 30)

    results: t.List[Result] = []
    over = threading.Event()

    def load(_unused: int) -> None:
        while not over.is_set():
            results.append(request(proxy.port))

    def come_and_go() -> int:
        chance, changes = random.Random(3), 0
        while not over.is_set():
            ledger.start()
            old = ledger.older_than(3)
            for name in chance.sample(old, max(0, min(2, len(old) - 2))):
                ledger.end(name, abruptly=chance.random() < 0.5)
                changes += 1
            over.wait(0.5)
        return changes

    def trouble() -> None:
        leader.kill()
        over.wait(6)
        leader.start()
        over.wait(6)
        asked.kill()
        over.wait(3)
        asked.start()

    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        loads = [threads.submit(load, number) for number in range(6)]
        changing = threads.submit(come_and_go)
        try:
            trouble()
            eventually(lambda: len(results) >= REQUESTS and changing.running(), 180)
        finally:
            over.set()
        changes = changing.result(60)
        for one in loads:
            one.result(60)
    # The renderer is up to date again, with the agent that was restarted.
    ports = {str(backend.port) for backend, _unused in ledger._alive.values()}
    eventually(lambda: all(port in proxy.target.read_text() for port in ports), 60)
    ledger.stop()
    wrong, excused = failed_and_answered(results, ledger.lives())
    print(f"\n{len(results)} requests, {changes} instances ended, {len(wrong)} failed that could be answered, {len(excused)} others failed")
    print(f"{log.read_text().count('written for')} changes of the file")
    assert not wrong, wrong[:5]
    assert len(results) >= REQUESTS and changes >= 10
