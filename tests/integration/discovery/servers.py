# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Consul servers on free ports of loopback, with state that outlives their process."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

from consul_agent import ConsulAgent

CONSUL = os.environ.get("TEST_CONSUL", "")
"""The path of a consul binary."""

ROOT = "11111111-1111-1111-1111-111111111111"
ACL = {"enabled": True, "default_policy": "deny", "tokens": {"master": ROOT}}


class Server(ConsulAgent):
    def __init__(self, binary: str, folder: pathlib.Path, name: str, config: t.Dict[str, t.Any]) -> None:
        self.name = name
        own = folder / name
        own.mkdir()
        super().__init__(binary, own, {"server": True, "bootstrap_expect": 1, "performance": {"raft_multiplier": 1}, **config})

    def start(self) -> None:
        file = self.folder / "consul.json"
        file.write_text(json.dumps({"ports": self.ports, "bind_addr": "127.0.0.1", "node_name": self.name, **self.config}))
        self.token = ROOT if "acl" in self.config else ""
        log = (self.folder / "consul.log").open("a")
        command = [self.binary, "agent", "-config-file", str(file), "-data-dir", str(self.folder / "data")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def ready(self) -> Server:
        self.wait_for(lambda: self.get("/v1/health/service/consul?passing"))
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def register(self, id: str, service: str = "web", port: int = 80, **fields: t.Any) -> None:
        self.put("/v1/agent/service/register", {"ID": id, "Name": service, "Address": "10.0.0.1", "Port": port, **fields})

    def deregister(self, id: str) -> None:
        self.put(f"/v1/agent/service/deregister/{id}")

    def policy(self, name: str, rules: str) -> None:
        self.put("/v1/acl/policy", {"Name": name, "Rules": rules})

    def make_token(self, *policies: str) -> t.Dict[str, t.Any]:
        return t.cast("t.Dict[str, t.Any]", self.put("/v1/acl/token", {"Policies": [{"Name": name} for name in policies]}, answer=True))


def cluster(server: t.Callable[..., Server]) -> t.List[Server]:
    """Three servers that know each other."""
    first = server("node1", bootstrap_expect=3)
    join = [f"127.0.0.1:{first.ports['serf_lan']}"]
    servers = [first, *(server(name, bootstrap_expect=3, retry_join=join, retry_interval="1s") for name in ("node2", "node3"))]
    for one in servers:
        one.ready()
        one.wait_for(lambda one=one: len(one.get("/v1/health/service/consul?passing")) == 3)
    return servers


def leader_of(servers: t.Sequence[Server]) -> Server:
    address = servers[0].get("/v1/status/leader")
    (found,) = [one for one in servers if address.endswith(f":{one.ports['server']}")]
    return found
