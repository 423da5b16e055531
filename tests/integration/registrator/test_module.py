# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``registrator`` on a real engine: services outlive the replacement of the container that registered them."""

from __future__ import annotations

import threading
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils import _registrator
from ansible_collections.discovery.consul.plugins.module_utils._docker.container import ContainerError
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.modules.registrator import ARGUMENTS
from conftest import ENGINE, IMAGE

DEFAULTS = {name: argument.get("default") for name, argument in ARGUMENTS.items()}
SERVICES = 5


@pytest.fixture
def converge(agent: t.Any, containers: t.Any, tmp_path: t.Any) -> t.Iterator[t.Callable[..., t.Any]]:
    """Call the module's program with its defaults but for what is given; it registers only what the test started."""
    own = {
        "image": IMAGE,
        "container_name": f"{containers.prefix}-registrator",
        "config_dir": str(tmp_path / "config"),
        "docker_socket": ENGINE[len("unix://") :],
        "registry": agent.uri,
        "opt_in": True,
        "ip": "127.0.0.1",
    }

    def converge(check_mode: bool = False, **options: t.Any) -> t.Any:
        return _registrator.Registrator(Engine(ENGINE), {**DEFAULTS, **own, **options}).converge(check_mode)

    yield converge
    converge(state="absent")


class Observer:
    """Looks at a service all the time, as those do who use it: in the agent, and with blocking queries."""

    def __init__(self, agent: t.Any, name: str) -> None:
        self.agent, self.name = agent, name
        self.looks = self.absences = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(look,)) for look in (self._in_agent, self._in_catalog)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, look: t.Callable[[], bool]) -> None:
        while not self._ended.is_set():
            is_there = look()
            self.looks += 1
            self.absences += not is_there

    def _in_agent(self) -> bool:
        self._ended.wait(0.005)
        return self.name in {service["Service"] for service in self.agent.services().values()}

    def _in_catalog(self) -> bool:
        index = max((one["Service"]["ModifyIndex"] for one in self._instances()), default=0)
        return bool(self.agent.get(f"/v1/health/service/{self.name}?wait=500ms&index={index}"))

    def _instances(self) -> t.List[t.Dict[str, t.Any]]:
        return t.cast("t.List[t.Dict[str, t.Any]]", self.agent.get(f"/v1/health/service/{self.name}"))


def indexes(agent: t.Any, names: t.Iterable[str], key: str) -> t.Dict[str, t.List[int]]:
    return {name: [one[key] for one in agent.get(f"/v1/catalog/service/{name}")] for name in names}


CHANGES = [{"resync": 600}, {"tags": ["blue"]}, {"deregister": "on-success"}, {"engine_access": "socket"}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_changed_option_leaves_every_service_where_it_is(agent: t.Any, containers: t.Any, converge: t.Any, change: t.Dict[str, t.Any]) -> None:
    names = [f"{containers.prefix}-{number}" for number in range(SERVICES)]
    for number in range(SERVICES):
        containers.run(str(number))
    assert converge().plan.actions == ["create"]
    agent.wait_for(lambda: all(indexes(agent, names, "CreateIndex").values()))
    created, modified = (indexes(agent, names, key) for key in ("CreateIndex", "ModifyIndex"))
    observers = [Observer(agent, name) for name in names]
    try:
        assert converge(**change).plan.actions == ["recreate", "remove"][: 1 + ("engine_access" in change)]
        if "tags" in change:
            agent.wait_for(lambda: all(agent.get(f"/v1/catalog/service/{name}")[0]["ServiceTags"] == ["blue"] for name in names), 5)
        containers.run("later")
        agent.wait_for(lambda: agent.get(f"/v1/catalog/service/{containers.prefix}-later"), 5)
    finally:
        for observer in observers:
            observer.end()
    assert [observer.absences for observer in observers] == [0] * SERVICES
    assert all(observer.looks > 50 for observer in observers)
    assert indexes(agent, names, "CreateIndex") == created
    assert (indexes(agent, names, "ModifyIndex") == modified) == ("tags" not in change), "written though nothing had changed"
    assert not converge(**change).changed


def made(containers: t.Any) -> t.Set[str]:
    """Return the containers and volumes that the module has made, without the test's prefix."""
    found = [container.name for container in containers.engine.containers.list(all=True, filters={"name": containers.prefix})]
    found += [f"volume {volume.name}" for volume in containers.engine.volumes.list(filters={"name": containers.prefix})]
    return {name.replace(f"{containers.prefix}-", "") for name in found}


BOTH = {"registrator", "registrator-proxy", "volume registrator-engine"}
REFUSED = """
import http.client, socket
for method, path in (("POST", "/containers/create"), ("GET", "/images/json"), ("DELETE", "/containers/web"), ("GET", "/version")):
    connection = http.client.HTTPConnection("engine")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/run/engine/docker.sock")
    connection.request(method, path, body="{}" if method == "POST" else None)
    print(connection.getresponse().status)
"""


def test_registrator_cannot_write_to_the_engine(containers: t.Any, converge: t.Any) -> None:
    assert {one.name for one in converge(check_mode=True).plan.differences} == {"container", "proxy.container"}
    assert made(containers) == set()
    converge()
    assert made(containers) == BOTH
    container = containers.engine.containers.get(f"{containers.prefix}-registrator")
    assert [mount["Destination"] for mount in container.attrs["Mounts"]] == ["/run/engine"]
    assert container.attrs["HostConfig"]["GroupAdd"] is None
    assert container.exec_run(["python3", "-c", REFUSED]).output.decode().split() == ["403", "403", "403", "200"]
    proxy = containers.engine.containers.get(f"{containers.prefix}-registrator-proxy")
    assert proxy.attrs["HostConfig"]["NetworkMode"] == "none"
    assert not converge().changed


def test_access_may_be_changed_and_all_removed(containers: t.Any, converge: t.Any) -> None:
    converge(engine_access="socket")
    assert made(containers) == {"registrator"}
    plan = converge(check_mode=True).plan
    assert (plan.actions, made(containers)) == (["create", "recreate"], {"registrator"})
    converge()
    assert made(containers) == BOTH
    result = converge(engine_access="socket", allow_disruption=False)
    assert (result.pending, made(containers)) == (True, BOTH)
    converge(state="stopped")
    assert {one.status for one in containers.engine.containers.list(all=True, filters={"name": containers.prefix})} == {"exited"}
    converge(state="absent")
    assert made(containers) == set()
    assert not converge(state="absent").changed


def test_a_registrator_that_does_not_come_up_leaves_all_as_it_was(containers: t.Any, converge: t.Any) -> None:
    bad = {"extra_flags": ["-listen=nowhere"]}
    with pytest.raises(ContainerError, match="-listen must be an address"):
        converge(**bad)
    assert made(containers) == set()
    converge(engine_access="socket")
    with pytest.raises(ContainerError, match="has been put back"):
        converge(**bad)
    assert made(containers) == {"registrator"}
    assert not converge(engine_access="socket").changed
    converge()
    with pytest.raises(ContainerError, match="has been put back"):
        converge(engine_access="socket", **bad)
    assert made(containers) == BOTH
    assert not converge().changed


def test_a_proxy_that_ends_is_started_again_and_nothing_is_lost(agent: t.Any, containers: t.Any, converge: t.Any) -> None:
    converge()
    proxy = containers.engine.containers.get(f"{containers.prefix}-registrator-proxy")
    gone = containers.run("gone")
    agent.wait_for(lambda: agent.get(f"/v1/catalog/service/{containers.prefix}-gone"), 5)
    inside = proxy.exec_run(["sh", "-c", "kill -9 $(cat /proc/1/task/1/children)"])
    assert inside.exit_code in (0, 137), inside.output
    gone.kill()
    containers.run("new")
    agent.wait_for(lambda: {s["Service"] for s in agent.services().values()} == {f"{containers.prefix}-new"}, 5)
    proxy.reload()
    assert proxy.attrs["RestartCount"] == 1
