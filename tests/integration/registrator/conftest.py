# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Registrator against a real engine and a real Consul.

Needed: ``DOCKER_HOST`` or the usual socket; ``TEST_CONSUL``, the path of a consul binary; ``TEST_IMAGE``, an image on the
engine that has ``/bin/sh`` and ``sleep``. Without them these tests are skipped.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
import uuid

import pytest

docker = pytest.importorskip("docker")

from consul_agent import ConsulAgent  # noqa: E402 - only where there is an engine
from socket_proxy import SocketProxy  # noqa: E402

CONSUL, IMAGE = os.environ.get("TEST_CONSUL", ""), os.environ.get("TEST_IMAGE", "")
ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
BUILD_CONTEXT = pathlib.Path(__file__).resolve().parents[3] / "roles/registrator/files/registrator"


def pytest_collection_modifyitems(items: t.List[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engine)
            if not (CONSUL and IMAGE):
                item.add_marker(pytest.mark.skip(reason="TEST_CONSUL and TEST_IMAGE are not set"))


@pytest.fixture
def agent(tmp_path: pathlib.Path) -> t.Iterator[ConsulAgent]:
    agent = ConsulAgent(CONSUL, tmp_path)
    yield agent
    agent.stop()


@pytest.fixture
def proxy(tmp_path: pathlib.Path) -> t.Iterator[SocketProxy]:
    proxy = SocketProxy(str(tmp_path / "proxy.sock"), ENGINE[len("unix://") :])
    yield proxy
    proxy.stop()
    assert proxy.refused == []


class Registrator:
    """The program behind a proxy that lets only reads pass: out of the work tree, or out of the image as its users get it."""

    def __init__(self, proxy: SocketProxy, log: pathlib.Path, words: t.Sequence[str], image: str = "", hostname: str = "", **environment: str) -> None:
        settings = {"DOCKER_HOST": f"unix://{proxy.path}", **environment}
        self.log, self.name = log, f"registrator-test-{uuid.uuid4().hex[:12]}" if image else ""
        if image:
            own = [f"--env={key}={value}" for key, value in settings.items()] + [f"--hostname={hostname}"] * bool(hostname)
            # Sockets and tokens that a test makes are below the folder for temporary files, and root's.
            place = ["--network=host", f"--volume={tempfile.gettempdir()}:{tempfile.gettempdir()}", "--user=0", "--no-healthcheck", f"--name={self.name}"]
            command = ["docker", "run", "--rm", "--init", *place, *own, image, *words]
            self.process = subprocess.Popen(command, stderr=log.open("a"))
            return
        command = [sys.executable, "-m", "registrator", *words]
        if hostname:
            command = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', hostname, *command]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CONSUL_", "DOCKER_"))}
        self.process = subprocess.Popen(command, env={**kept, "PYTHONPATH": str(BUILD_CONTEXT), **settings}, stderr=log.open("a"))

    def wait_until_ready(self) -> None:
        end = time.monotonic() + 20
        while "Syncing services on" not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.name and number == signal.SIGKILL:
            # Only the engine can kill what is in a container: the client that is connected to it is somebody else.
            subprocess.run(["docker", "kill", self.name], stdout=subprocess.DEVNULL, check=False)
        else:
            self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def registrator(request: pytest.FixtureRequest, proxy: SocketProxy, tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., Registrator]]:
    """Start Registrators; they see only containers that ``run`` started, since the engine may have others.

    A module that sets ``ON_IMAGE`` has them started out of the image.
    """
    started: t.List[Registrator] = []
    image = IMAGE if getattr(request.module, "ON_IMAGE", False) else ""

    def start(*words: str, wait: bool = True, opt_in: bool = True, **settings: str) -> Registrator:
        log = tmp_path / f"registrator-{len(started)}.log"
        log.touch()
        own = ["-opt-in"] if opt_in else []
        started.append(Registrator(proxy, log, [*own, "-ip", "127.0.0.1", *words], image, **settings))
        if wait:
            started[-1].wait_until_ready()
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop(signal.SIGKILL)
        assert "Traceback" not in one.log.read_text()


class Containers:
    """Makes containers on the real engine, and removes them afterwards."""

    def __init__(self) -> None:
        self.engine = docker.from_env(timeout=120) if "DOCKER_HOST" in os.environ else docker.DockerClient(ENGINE, timeout=120)
        self.prefix = f"registrator-test-{uuid.uuid4().hex[:6]}"

    def create(self, name: str, command: str = "exec sleep 900", **settings: t.Any) -> t.Any:
        labels = {"registrator.enable": "true", "SERVICE_NAME": f"{self.prefix}-{name}", **settings.pop("labels", {})}
        # The image's own HEALTHCHECK is Registrator's, and hundreds of them would slow down what is tested.
        arguments = {"ports": {"80/tcp": None}, "stop_signal": "SIGKILL", "healthcheck": {"test": ["NONE"]}, **settings}
        return self.engine.containers.create(IMAGE, entrypoint=["/bin/sh", "-c", command], name=f"{self.prefix}-{name}", labels=labels, **arguments)

    def run(self, name: str, command: str = "exec sleep 900", **settings: t.Any) -> t.Any:
        container = self.create(name, command, **settings)
        container.start()
        return container

    def remove(self) -> None:
        for container in self.engine.containers.list(all=True, filters={"name": self.prefix}):
            container.remove(force=True, v=True)
        self.engine.close()


@pytest.fixture
def containers() -> t.Iterator[Containers]:
    containers = Containers()
    yield containers
    containers.remove()
