# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut off from the registry or from the engine: once that is over, the registry equals the running containers."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

import pytest
from conftest import IMAGE
from own_engine import OwnEngine
from test_nothing_lost import names, port_of

ON_IMAGE = True
HEALED_S = 5.0
CUT_S = 12.0  # longer than the program waits for an answer, so that it has given up on what it asked when the cut began


class Host:
    """Registrator in a network of its own, which can be cut off from the agent."""

    def __init__(self, agent: t.Any, containers: t.Any) -> None:
        self.network = containers.engine.networks.create(f"{containers.prefix}-cut")
        self.network.reload()
        self.agent_address = self.network.attrs["IPAM"]["Config"][0]["Gateway"]
        agent.stop()
        agent.config["addresses"] = {"http": f"127.0.0.1 {self.agent_address}"}
        agent.start()
        self.container = containers.engine.containers.run(
            IMAGE,
            ["-opt-in", "-ip=127.0.0.1", f"consul://{self.agent_address}:{agent.ports['http']}"],
            name=f"{containers.prefix}-registrator",
            hostname="cut-off",
            network=self.network.name,
            user="0",
            volumes={"/var/run/docker.sock": {"bind": "/tmp/docker.sock"}},
            detach=True,
        )

    def disconnect(self) -> None:
        self.network.disconnect(self.container)

    def connect(self) -> None:
        self.network.connect(self.container)

    def drop(self) -> None:
        """Let packets vanish without a word, so that nothing is refused and everything hangs."""
        self._filter("-A")

    def let_pass(self) -> None:
        self._filter("-D")

    def _filter(self, action: str) -> None:
        self.container.reload()
        inside = ["nsenter", "--net", "--target", str(self.container.attrs["State"]["Pid"])]
        for direction in (["INPUT", "-s"], ["OUTPUT", "-d"]):
            subprocess.run([*inside, "iptables", "-w", action, *direction, self.agent_address, "-j", "DROP"], check=True)

    def remove(self) -> None:
        self.container.remove(force=True)
        self.network.remove()


@pytest.fixture
def host(agent: t.Any, containers: t.Any) -> t.Iterator[Host]:
    host = Host(agent, containers)
    yield host
    host.remove()


@pytest.mark.parametrize(("cut", "heal"), [("disconnect", "connect"), ("drop", "let_pass")])
def test_cut_off_from_the_registry(agent: t.Any, containers: t.Any, host: Host, cut: str, heal: str) -> None:
    gone, stays, other = (containers.run(name) for name in ("gone", "stays", "other"))
    agent.wait_for(lambda: names(agent, containers) == {"gone", "stays", "other"})
    getattr(host, cut)()
    gone.remove(force=True)
    stays.restart(timeout=0)
    containers.run("new")
    time.sleep(CUT_S)
    assert names(agent, containers) == {"gone", "stays", "other"}, "it was not cut off"

    getattr(host, heal)()
    wanted = {port_of(stays), port_of(other)}
    agent.wait_for(lambda: names(agent, containers) == {"stays", "other", "new"}, HEALED_S)
    agent.wait_for(lambda: wanted <= {service["Port"] for service in agent.services().values()}, 1)
    for _time in range(100):
        assert names(agent, containers) == {"stays", "other", "new"}, "what was given up during the cut was done after it"
        time.sleep(0.05)
    host.container.reload()
    assert (host.container.status, host.container.attrs["RestartCount"]) == ("running", 0)


@pytest.fixture
def own_engine() -> t.Iterator[t.Callable[..., OwnEngine]]:
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip("an engine of its own needs root and dockerd")
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder:
        made: t.List[OwnEngine] = []

        def make(*words: str) -> OwnEngine:
            made.append(OwnEngine(pathlib.Path(folder), *words))
            return made[-1]

        yield make
        for engine in made:
            engine.remove()


def services(agent: t.Any) -> t.Dict[str, int]:
    return {service["Service"]: service["Port"] for service in agent.services().values()}


def test_an_engine_that_is_restarted(agent: t.Any, registrator: t.Any, own_engine: t.Any) -> None:
    engine = own_engine()
    one = registrator(agent.uri, opt_in=False, DOCKER_HOST=engine.url)
    engine.run("comes-back", 7001, restart_policy={"Name": "always"})
    engine.run("stays-away", 7002)
    agent.wait_for(lambda: services(agent) == {"comes-back": 7001, "stays-away": 7002})
    engine.stop()
    time.sleep(3)
    engine.start()
    agent.wait_for(lambda: services(agent) == {"comes-back": 7001}, HEALED_S)
    engine.run("new", 7003)
    agent.wait_for(lambda: services(agent) == {"comes-back": 7001, "new": 7003}, HEALED_S)
    assert one.process.poll() is None


def test_an_engine_that_crashes_and_finds_its_containers_again(agent: t.Any, registrator: t.Any, own_engine: t.Any) -> None:
    engine = own_engine("--live-restore")
    one = registrator(agent.uri, opt_in=False, DOCKER_HOST=engine.url)
    engine.run("lives-on", 7001)
    ends = engine.run("ends-meanwhile", 7002)
    agent.wait_for(lambda: services(agent) == {"lives-on": 7001, "ends-meanwhile": 7002})
    before = agent.get("/v1/catalog/service/lives-on")
    process = engine.process_of(ends)
    engine.crash()
    os.kill(process, signal.SIGKILL)
    time.sleep(3)
    engine.start()
    agent.wait_for(lambda: services(agent) == {"lives-on": 7001}, HEALED_S)
    assert agent.get("/v1/catalog/service/lives-on") == before, "written though nothing had changed"
    assert one.process.poll() is None
