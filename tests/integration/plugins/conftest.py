# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Ansible against a real Consul."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from servers import ACL, CONSUL, Server

TOP = pathlib.Path(__file__).resolve().parents[3]
# A name in the registry that is a template to whoever trusts it.
HOSTILE = "{{ lookup('pipe', 'echo run') }}"


def service(id: str, **fields: t.Any) -> t.Dict[str, t.Any]:
    return {"ID": id, "Service": "web", "Address": "10.0.0.9", "Port": 8080, **fields}


def plain(value: t.Any) -> t.Any:
    """What `ansible-inventory` shows, without its marks of what is no template."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


class Place:
    """A server with ACLs and TLS, an agent that is its client, and nodes without agents; a folder with tokens; Ansible beside them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        for words in (["ca", "create"], ["cert", "create", "-server", "-dc", "dc1"]):
            subprocess.run([CONSUL, "tls", *words], cwd=folder, check=True, capture_output=True)
        self.ca = folder / "consul-agent-ca.pem"
        tls = {"cert_file": str(folder / "dc1-server-consul-0.pem"), "key_file": str(folder / "dc1-server-consul-0-key.pem"), "ca_file": str(self.ca)}
        self.started: t.List[Server] = []
        self.server = self.start("node1", acl=ACL, ports={"https": 0}, **tls)
        self.https = self.server.url.replace("http://", "https://").replace(str(self.server.ports["http"]), str(self.server.ports["https"]))
        join = [f"127.0.0.1:{self.server.ports['serf_lan']}"]
        self.server.wait_for(lambda: self.server.get("/v1/health/service/consul?passing"))
        agents = {"enabled": True, "default_policy": "deny", "tokens": {"agent": ACL["tokens"]["master"]}}
        self.start("node2", acl=agents, server=False, bootstrap_expect=0, retry_join=join, retry_interval="1s", node_meta={"zone": "b"})
        self.server.put("/v1/agent/token/agent", {"Token": ACL["tokens"]["master"]})
        self.server.wait_for(lambda: len(self.server.get("/v1/catalog/nodes")) == 2)
        self.register()
        self.server.policy("reader", 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } agent_prefix "" { policy = "read" }')
        self.server.policy("one-node", 'service_prefix "" { policy = "read" } node "node1" { policy = "read" } agent_prefix "" { policy = "read" }')
        self.reader, self.one_node = (self.token(name) for name in ("reader", "one-node"))

    def start(self, name: str, **config: t.Any) -> Server:
        from consul_agent import free_port

        ports = {key: free_port() for key in config.pop("ports", {})}
        self.started.append(Server(CONSUL, self.folder, name, {**config, "ports": ports}))
        return self.started[-1]

    def register(self) -> None:
        put = self.server.put
        passing = {"Name": "up", "Status": "passing"}
        put("/v1/catalog/register", {"Node": "db.example", "Address": "10.0.0.7", "NodeMeta": {"zone": "a", "note": HOSTILE}})
        outside = {"Node": "outside", "Address": "10.0.0.8", "NodeMeta": {"zone": "a"}}
        put("/v1/catalog/register", {**outside, "Service": service("web-1", Tags=["v1", HOSTILE]), "Check": {**passing, "CheckID": "c1", "ServiceID": "web-1"}})
        critical = {"Name": "down", "Status": "critical", "CheckID": "c2", "ServiceID": "web-2"}
        put("/v1/catalog/register", {**outside, "Service": service("web-2", Address="", Tags=["v2"]), "Check": critical})
        put("/v1/catalog/register", {**outside, "Service": service("web-3", Address="fd00::3", Port=81, Tags=["v2", "blue"], Meta={"note": HOSTILE})})
        put("/v1/catalog/register", {"Node": "-oProxyCommand=x", "Address": "10.0.0.6"})
        put("/v1/catalog/register", {"Node": "localhost", "Address": "10.0.0.6"})

    def token(self, policy: str) -> pathlib.Path:
        file = self.folder / f"{policy}.token"
        file.write_text(self.server.make_token(policy)["SecretID"] + "\n")
        file.chmod(0o600)
        return file

    def ansible(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CONSUL_", "ANSIBLE_"))}
        own = {
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".venv/collections"),
            "CONSUL_HTTP_ADDR": self.https,
            "CONSUL_CACERT": str(self.ca),
            "CONSUL_HTTP_TOKEN_FILE": str(self.reader),
            **environment,
        }
        found = subprocess.run([sys.executable, "-m", "ansible", *words], env={**kept, **own}, capture_output=True, text=True, check=False, timeout=120)
        assert "Traceback" not in found.stdout + found.stderr
        return found

    def inventory(self, **options: t.Any) -> subprocess.CompletedProcess[str]:
        environment = options.pop("environment", {})
        file = self.folder / "hosts.consul.yml"
        file.write_text(json.dumps({"plugin": "discovery.consul.consul_nodes", "strict": True, **options}))
        return self.ansible("inventory", "--inventory", str(file), "--list", **environment)

    def hosts(self, **options: t.Any) -> t.Dict[str, t.Any]:
        found = self.inventory(**options)
        assert found.returncode == 0, found.stderr
        return t.cast("t.Dict[str, t.Any]", plain(json.loads(found.stdout)))

    def values(self, *expressions: str) -> t.List[t.Any]:
        """What expressions are."""
        return self._play([], "{{ [" + ", ".join(expressions) + "] | ansible.builtin.to_json }}")

    def errors(self, *expressions: str) -> t.List[str]:
        """How expressions fail, each of them."""
        tasks = [
            {"ansible.builtin.debug": {"msg": "{{ " + expression + " }}"}, "register": f"task_{number}", "ignore_errors": True}
            for number, expression in enumerate(expressions)
        ]
        failed = ", ".join(f"[task_{number} is failed, task_{number}.msg]" for number in range(len(tasks)))
        found = self._play(tasks, "{{ [" + failed + "] | ansible.builtin.to_json }}")
        assert all(failed for failed, _message in found), found
        return [" ".join(message.split()) for _failed, message in found]

    def _play(self, tasks: t.List[t.Dict[str, t.Any]], content: str) -> t.Any:
        said, file = self.folder / "said", self.folder / "say.yml"
        said.unlink(missing_ok=True)
        last = {"ansible.builtin.copy": {"dest": str(said), "content": content, "mode": "0600"}}
        file.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [*tasks, last]}]))
        found = self.ansible("playbook", "--inventory", "localhost,", "--connection", "local", str(file))
        assert found.returncode == 0, found.stdout + found.stderr
        return json.loads(said.read_text())


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Place]:
    place = object.__new__(Place)
    place.started = []
    try:
        place.__init__(tmp_path_factory.mktemp("place"))  # type: ignore[misc]
        yield place
    finally:
        for one in place.started:
            one.kill()
