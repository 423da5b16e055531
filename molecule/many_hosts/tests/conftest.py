# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts under test, what their nodes answer, the verdict on the cluster, and the site's playbooks run on them."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest
import testinfra
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[3]
SCENARIO = pathlib.Path(os.environ.get("MOLECULE_SCENARIO_DIRECTORY", PROJECT / "molecule" / "many_hosts"))
KEY = PROJECT / ".cache" / "molecule" / "id_ed25519"
SSH = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
FIFTH = f"--inventory={SCENARIO / 'fifth_host'}"

Json = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Node:
    """A host with one node, which is a container on this machine."""

    name: str
    address: str
    server: bool
    machine: str

    def run(self, command: str) -> str:
        """What a command prints on the host; it must succeed."""
        host = testinfra.get_host(f"ssh://root@{self.address}", ssh_identity_file=str(KEY), ssh_extra_args=shlex.join(SSH))
        result = host.run(command)
        assert result.rc == 0, f"{command}: {result.stdout} {result.stderr}"
        return t.cast(str, result.stdout)

    def ask(self, path: str, data: str | None = None, timeout: float = 10) -> str:
        """What the node's HTTP interface answers."""
        request = urllib.request.Request(f"http://{self.address}:8500{path}", data.encode() if data is not None else None, method="PUT" if data else "GET")
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return t.cast(str, answer.read().decode())

    def api(self, path: str) -> t.Any:
        return json.loads(self.ask(path))

    def write(self, key: str, value: str) -> bool:
        """Whether the key could be written through this node."""
        try:
            return self.ask(f"/v1/kv/{key}", value) == "true"
        except (urllib.error.URLError, OSError):
            return False

    def read(self, key: str) -> str | None:
        """The key's value as the leader has it; None when there is none."""
        try:
            return self.ask(f"/v1/kv/{key}?raw&consistent")
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return None


def read_nodes(folder: str) -> list[Node]:
    """The nodes of an inventory of the scenario."""
    groups = yaml.safe_load((SCENARIO / folder / "hosts.yml").read_text())["all"]["children"]
    machines = {one["address"]: f"discovery-test-{one['name']}" for one in yaml.safe_load((SCENARIO / "molecule.yml").read_text())["platforms"]}
    return [
        Node(name, host["ansible_host"], group == "consul_servers", machines[host["ansible_host"]])
        for group in ("consul_servers", "consul_clients")
        for name, host in groups.get(group, {}).get("hosts", {}).items()
    ]


NODES = read_nodes("inventory")
SERVERS = [node for node in NODES if node.server]
CLIENT = NODES[-1]
ADDED = next(iter(read_nodes("fifth_host") if (SCENARIO / "fifth_host").is_dir() else []), None)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if "COLOR" not in name}
    return {**own, "MOLECULE_PROJECT_DIRECTORY": str(PROJECT), "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_HOST_KEY_CHECKING": "false"}


INVENTORY = [f"--inventory={PROJECT / 'inventory' / 'many_hosts'}", f"--inventory={SCENARIO / 'inventory'}"]


@pytest.fixture(scope="session")
def play() -> t.Callable[..., str]:
    """Run a playbook of the project on the hosts; what it printed."""

    def run(playbook: str, *arguments: str, code: int = 0) -> str:
        command = ["ansible-playbook", *INVENTORY, *arguments, playbook]
        done = subprocess.run(command, cwd=PROJECT, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    return run


class Cluster:
    """All nodes that the inventory has by now."""

    @property
    def nodes(self) -> list[Node]:
        if ADDED is None or subprocess.run(["docker", "exec", ADDED.machine, "docker", "inspect", ADDED.name], capture_output=True, check=False).returncode:
            return NODES
        return [*NODES, ADDED]

    def judge(self, pattern: str = "localhost", **options: t.Any) -> dict[str, Json]:
        """What the health module says, on this machine or on hosts of the inventory."""

        def listed(server: bool) -> list[Json]:
            return [
                {"name": node.name, "address": node.address, "http": f"http://{node.address}:8500", "dns": f"{node.address}:8600"}
                for node in self.nodes
                if node.server == server
            ]

        arguments = json.dumps({"servers": listed(True), "clients": listed(False), **options})
        here = ["--inventory=localhost,", "--connection=local", f"--extra-vars=ansible_python_interpreter={sys.executable}"]
        done = subprocess.run(
            ["ansible", *(here if pattern == "localhost" else INVENTORY), pattern, "-m", "discovery.consul.consul_cluster_health", "-a", arguments, "-o"],
            cwd=PROJECT,
            env={**environment(), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = {}
        for line in done.stdout.splitlines():
            host, arrow, text = line.partition("=> ")
            if arrow:
                found[host.split()[0]] = json.loads(text)
        assert found, done.stdout + done.stderr
        return found

    def becomes(self, verdict: str, seconds: float = 60, **options: t.Any) -> Json:
        """The health module's result once its verdict is that one, and never a better one before."""
        deadline = time.monotonic() + seconds
        while True:
            (result,) = self.judge(**options).values()
            if result["verdict"] == verdict:
                return result
            assert result["verdict"] != "healthy", f"healthy, where {verdict} is the truth"
            assert time.monotonic() < deadline, f"not {verdict} within {seconds} s: {shown(result)}"

    def is_healthy_again(self, seconds: float = 90) -> Json:
        (result,) = self.judge(wait_for="healthy", timeout=seconds, samples=2).values()
        assert result["verdict"] == "healthy", shown(result)
        return result

    def leader(self) -> Node:
        result = self.is_healthy_again()
        return next(node for node in SERVERS if node.name == result["leader"]["name"])


def shown(result: Json) -> str:
    rules = [f"{rule['name']}: {rule['summary']} {rule['evidence']}" for rule in result.get("rules", []) if rule["ok"] is not True]
    return "\n".join([str(result.get("verdict")), str(result.get("msg", "")), *rules])


def until(what: str, check: t.Callable[[], t.Any], seconds: float = 30) -> None:
    """Wait until `check` holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.5)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster()
