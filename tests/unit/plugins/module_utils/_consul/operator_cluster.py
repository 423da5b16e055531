# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers s1 to s3 and the client c1 as one agent shows them, which do what an operator tells them."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, ConsulError

Json = t.Dict[str, t.Any]


class Cluster:
    """`log` has what was told, as (method, path, parameters)."""

    url = "http://10.0.0.2:8500"

    def __init__(self) -> None:
        self.members = {name: _member(name, f"10.0.0.{number}", name[0] == "s") for number, name in enumerate(("s1", "s2", "s3", "c1"), start=1)}
        self.peers = {f"id-{name}": (name, f"10.0.0.{name[1]}:8300") for name in ("s1", "s2", "s3")}
        self.leader = "s1"
        self.catalog = set(self.members)
        self.autopilot: Json = {"CleanupDeadServers": True, "MinQuorum": 3, "LastContactThreshold": "1s", "CreateIndex": 5, "ModifyIndex": 7}
        self.me: str | None = "s2"
        self.transfer: Answer = Answer(status=200, data={"Success": True})
        self.obeys = True
        """Whether what is told comes to be so."""
        self.reconciles = True
        """Whether the leader takes a member that left out of raft and the catalog."""
        self.log: list[tuple[str, str, Json]] = []

    def get(self, path: str, **params: str) -> Answer:
        if self.me is None:
            raise ConsulError(self.url + path, "ConnectionError: [Errno 111] Connection refused")
        servers = [
            {"ID": i, "Node": name if name in self.members else "(unknown)", "Address": a, "Leader": name == self.leader} for i, (name, a) in self.peers.items()
        ]
        return Answer(
            status=200,
            data={
                "/v1/status/leader": "10.0.0.1:8300",
                "/v1/agent/self": {"Config": {"NodeName": self.me}},
                "/v1/agent/members": list(self.members.values()),
                "/v1/operator/raft/configuration": {"Servers": servers},
                "/v1/operator/autopilot/configuration": dict(self.autopilot),
                "/v1/catalog/nodes": [{"Node": name} for name in self.catalog if json.dumps(name) in params.get("filter", "")],
            }[path],
        )

    def post(self, path: str, data: str, **params: str) -> Answer:
        self.log.append(("POST", path, params))
        if self.transfer.good and self.obeys:
            self.leader = "s2"
        return self.transfer

    def put(self, path: str, data: str, **params: str) -> Answer:
        self.log.append(("PUT", path, params))
        if path == "/v1/agent/leave":
            self.me = None
        elif path.startswith("/v1/agent/force-leave/"):
            self._forget(path.rpartition("/")[2])
        elif path == "/v1/catalog/deregister":
            self.catalog.discard(json.loads(data)["Node"])
        else:
            fits = params["cas"] == str(self.autopilot["ModifyIndex"])
            if fits:
                self.autopilot = {**json.loads(data), "CreateIndex": 5, "ModifyIndex": self.autopilot["ModifyIndex"] + 1}
            return Answer(status=200, data=fits)
        return Answer(status=200)

    def delete(self, path: str, data: str = "", **params: str) -> Answer:
        self.log.append(("DELETE", path, params))
        if self.obeys:
            self.peers.pop(params["id"], None)
        return Answer(status=200) if self.obeys else Answer(status=500, data="not today")

    def _forget(self, name: str) -> None:
        del self.members[name]
        if self.reconciles:
            self.peers = {identity: peer for identity, peer in self.peers.items() if peer[0] != name}
            self.catalog.discard(name)

    def told(self) -> list[str]:
        return [f"{method} {path}" for method, path, _params in self.log]

    def dies(self, name: str) -> None:
        self.members[name]["Status"] = 4


def _member(name: str, address: str, server: bool) -> Json:
    tags = {"role": "consul", "id": f"id-{name}", "port": "8300"} if server else {"role": "node", "id": f"id-{name}"}
    return {"Name": name, "Addr": address, "Status": 1, "Tags": tags}
