# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every registry but Consul's agent, against its real server.

``TEST_REGISTRIES_IMAGE`` is an image on the engine with Debian's etcd and ZooKeeper.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import signal
import socket
import time
import typing as t
import urllib.error
import urllib.request

import pytest
from consul_agent import free_port

HOST = socket.gethostname()
IMAGE = os.environ.get("TEST_REGISTRIES_IMAGE", "")
WEB_PORT = "80/tcp"


def wait_until(holds: t.Callable[[], t.Any], seconds: float = 15.0) -> t.Any:
    end = time.monotonic() + seconds
    while True:
        try:
            found = holds()
        except OSError:
            found = None
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def endpoint(container: t.Any) -> str:
    container.reload()
    return f"127.0.0.1:{container.attrs['NetworkSettings']['Ports'][WEB_PORT][0]['HostPort']}"


@pytest.fixture
def serve(containers: t.Any) -> t.Callable[..., str]:
    """Start a server out of the image; the address of its port on loopback."""
    if not IMAGE:
        pytest.skip("TEST_REGISTRIES_IMAGE is not set")

    def start(name: str, port: int, *command: str) -> str:
        here = free_port()
        settings = {"detach": True, "ports": {f"{port}/tcp": ("127.0.0.1", here)}, "name": f"{containers.prefix}-{name}"}
        containers.engine.containers.run(IMAGE, entrypoint=list(command), **settings)
        return f"127.0.0.1:{here}"

    return start


class Etcd:
    def __init__(self, address: str) -> None:
        self.address, self.url = address, f"http://{address}"
        wait_until(lambda: urllib.request.urlopen(f"{self.url}/version"))

    def v3(self) -> t.Dict[str, str]:
        """Return everything that the v3 API holds."""
        everything = base64.b64encode(b"\0").decode()
        request = urllib.request.Request(f"{self.url}/v3/kv/range", json.dumps({"key": everything, "range_end": everything}).encode())
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer).get("kvs", [])
        return {base64.b64decode(pair["key"]).decode(): base64.b64decode(pair["value"]).decode() for pair in found}

    def v2(self, key: str) -> t.Optional[str]:
        try:
            with urllib.request.urlopen(f"{self.url}/v2/keys{key}") as answer:
                return t.cast(str, json.load(answer)["node"]["value"])
        except urllib.error.HTTPError:
            return None

    def delete(self, key: str) -> None:
        request = urllib.request.Request(f"{self.url}/v3/kv/deleterange", json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode())
        urllib.request.urlopen(request).close()


@pytest.fixture
def etcd(serve: t.Callable[..., str]) -> Etcd:
    urls = [f"--{kind}-client-urls=http://0.0.0.0:2379" for kind in ("listen", "advertise")]
    return Etcd(serve("etcd", 2379, "etcd", "--data-dir=/tmp/etcd", "--enable-v2=true", *urls))


def test_consuls_key_value_store_over_a_socket_file(tmp_path: pathlib.Path, agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    path = tmp_path / "consul.sock"
    agent.listen_on(path)
    registrator(f"consulkv-unix://{path}:/pre/fix")
    web = containers.run("web")
    key = f"pre/fix/{containers.prefix}-web/{HOST}:{containers.prefix}-web:80"
    wait_until(lambda: agent.get("/v1/kv/?keys=true") == [key])
    assert base64.b64decode(agent.get(f"/v1/kv/{key}")[0]["Value"]).decode() == endpoint(web)
    agent.stop()
    agent.start()
    wait_until(lambda: agent.get("/v1/kv/?keys=true") == [key], 5)
    web.kill()
    wait_until(lambda: is_gone(agent, key), 5)


def is_gone(agent: t.Any, key: str) -> bool:
    try:
        agent.get(f"/v1/kv/{key}")
    except urllib.error.HTTPError as error:
        return error.code == 404
    return False


def test_consuls_key_value_store(agent: t.Any, registrator: t.Any, containers: t.Any) -> None:
    def pairs() -> t.Dict[str, str]:
        try:
            return {pair["Key"]: base64.b64decode(pair["Value"]).decode() for pair in agent.get("/v1/kv/pre/fix/?recurse=true")}
        except urllib.error.HTTPError:
            return {}

    one = registrator(f"consulkv{agent.uri[len('consul') :]}/pre/fix")
    gone, stays = containers.run("gone", labels={"SERVICE_ID": "custom"}), containers.run("stays")
    stays_key = f"pre/fix/{containers.prefix}-stays/{HOST}:{containers.prefix}-stays:80"
    wait_until(lambda: pairs() == {f"pre/fix/{containers.prefix}-gone/custom": endpoint(gone), stays_key: endpoint(stays)})
    index = agent.get(f"/v1/kv/{stays_key}")[0]["ModifyIndex"]
    one.stop(signal.SIGKILL)
    gone.remove(force=True)
    registrator(f"consulkv{agent.uri[len('consul') :]}/pre/fix")
    wait_until(lambda: pairs() == {stays_key: endpoint(stays)})
    assert agent.get(f"/v1/kv/{stays_key}")[0]["ModifyIndex"] == index, "written though nothing had changed"
    agent.put("/v1/kv/pre/fix/other/foreign", "x")
    urllib.request.urlopen(urllib.request.Request(f"{agent.url}/v1/kv/{stays_key}", method="DELETE")).close()
    wait_until(lambda: set(pairs()) == {stays_key, "pre/fix/other/foreign"}, 5)


def test_etcd_v3(etcd: Etcd, registrator: t.Any, containers: t.Any) -> None:
    one = registrator(f"etcd://{etcd.address}/services")
    gone, stays = containers.run("gone", labels={"SERVICE_ID": "custom"}), containers.run("stays")
    stays_key = f"/services/{containers.prefix}-stays/{HOST}:{containers.prefix}-stays:80"
    wait_until(lambda: etcd.v3() == {f"/services/{containers.prefix}-gone/custom": endpoint(gone), stays_key: endpoint(stays)})
    etcd.delete(stays_key)
    wait_until(lambda: stays_key in etcd.v3(), 5)
    one.stop(signal.SIGKILL)
    gone.remove(force=True)
    registrator(f"etcd://{etcd.address}/services")
    wait_until(lambda: etcd.v3() == {stays_key: endpoint(stays)})


def test_etcd_v3_forgets_what_nobody_refreshes(etcd: Etcd, registrator: t.Any, containers: t.Any) -> None:
    one = registrator("-ttl", "4", "-ttl-refresh", "1", f"etcd://{etcd.address}/services")
    containers.run("web")
    wait_until(lambda: len(etcd.v3()) == 1)
    time.sleep(7)
    assert len(etcd.v3()) == 1
    one.stop(signal.SIGKILL)
    wait_until(lambda: not etcd.v3(), 10)


def test_etcd_v2(etcd: Etcd, registrator: t.Any, containers: t.Any) -> None:
    registrator("-ttl", "4", "-ttl-refresh", "1", f"etcd://{etcd.address}/services", ETCDCTL_API="2")
    web = containers.run("web")
    key = f"/services/{containers.prefix}-web/{HOST}:{containers.prefix}-web:80"
    wait_until(lambda: etcd.v2(key) == endpoint(web))
    time.sleep(6)
    assert etcd.v2(key) == endpoint(web)
    web.remove(force=True)
    wait_until(lambda: etcd.v2(key) is None, 5)
    assert etcd.v3() == {}


def test_skydns(etcd: Etcd, registrator: t.Any, containers: t.Any) -> None:
    registrator(f"skydns2://{etcd.address}/apps.example.org")
    web = containers.run("web", labels={"SERVICE_ID": "web1"})
    key = f"/skydns/org/example/apps/{containers.prefix}-web/web1"
    wait_until(lambda: key in etcd.v3())
    assert json.loads(etcd.v3()[key]) == {"host": "127.0.0.1", "port": int(endpoint(web).partition(":")[2])}
    web.kill()
    wait_until(lambda: not etcd.v3(), 5)


@pytest.fixture
def zookeeper(serve: t.Callable[..., str]) -> t.Iterator[t.Any]:
    kazoo = pytest.importorskip("kazoo.client")
    address = serve("zookeeper", 2181, "/usr/share/zookeeper/bin/zkServer.sh", "start-foreground")
    client = kazoo.KazooClient(hosts=address)
    client.start(timeout=60)
    client.address = address
    yield client
    client.stop()


def test_zookeeper(zookeeper: t.Any, registrator: t.Any, containers: t.Any) -> None:
    def nodes() -> t.Set[str]:
        names = zookeeper.get_children("/services")
        return {f"{name}/{node}" for name in names for node in zookeeper.get_children(f"/services/{name}")}

    one = registrator(f"zookeeper://{zookeeper.address}/services")
    web = containers.run("web", labels={"SERVICE_TAGS": "a,b", "SERVICE_REGION": "eu"})
    path = f"{containers.prefix}-web/{endpoint(web)}"
    wait_until(lambda: nodes() == {path})
    told = json.loads(zookeeper.get(f"/services/{path}")[0])
    assert (told["Name"], told["IP"], told["PrivatePort"], told["Tags"]) == (f"{containers.prefix}-web", "127.0.0.1", 80, ["a", "b"])
    assert told["Attrs"] == {"region": "eu"}
    zookeeper.delete(f"/services/{path}")
    wait_until(lambda: nodes() == {path}, 5)

    one.stop(signal.SIGKILL)
    registrator(f"zookeeper://{zookeeper.address}/services")
    time.sleep(12)  # longer than the session of the one that was killed
    assert nodes() == {path}
    web.kill()
    wait_until(lambda: zookeeper.get_children("/services") == [], 5)
