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
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass

import psutil
import pytest
import testinfra
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[3]
SCENARIO = pathlib.Path(os.environ.get("MOLECULE_SCENARIO_DIRECTORY", PROJECT / "molecule" / "many_hosts"))
CACHE = PROJECT / ".cache" / "molecule" / SCENARIO.name
KEY = PROJECT / ".cache" / "molecule" / "id_ed25519"
SSH = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
# A connection is kept for the next command: to open one costs more than most commands do.
CONNECTIONS = tempfile.TemporaryDirectory()
FIFTH = f"--inventory={CACHE / 'fifth_host'}"
SETTINGS = yaml.safe_load((SCENARIO / "molecule.yml").read_text())

# The secrets lie where the collection keeps them by default, unless the inventory says otherwise.
SECRETS = next((folder for folder in (CACHE / "secrets", CACHE / "inventory" / ".secrets" / "dc1") if folder.is_dir()), CACHE)

Json = t.Dict[str, t.Any]


def secret(token: str) -> str:
    return (SECRETS / "tokens" / token).read_text().strip()


@dataclass(frozen=True)
class Node:
    """A host with one node, which is a container on this machine."""

    name: str
    host: str
    """Its name in the inventory."""
    address: str
    server: bool
    machine: str

    def run(self, command: str) -> str:
        """What a command prints on the host; it must succeed."""
        host = testinfra.get_host(
            f"ssh://root@{self.address}", ssh_identity_file=str(KEY), ssh_extra_args=shlex.join(SSH), controlpath=f"{CONNECTIONS.name}/{self.address}"
        )
        result = host.run(command)
        assert result.rc == 0, f"{command}: {result.stdout} {result.stderr}"
        return t.cast(str, result.stdout)

    def ask(self, path: str, data: str | None = None) -> tuple[int, str]:
        """Status and body of what the node's HTTP interface answers on its host's loopback to one who may do everything; status 0 for none."""
        code = (
            "import json, sys, urllib.error, urllib.request\n"
            f"url, data, token = 'http://127.0.0.1:8500{path}', {data!r}, {secret('management')!r}\n"
            "request = urllib.request.Request(url, data and data.encode(), {'X-Consul-Token': token}, method='PUT' if data else 'GET')\n"
            "try: answer = urllib.request.urlopen(request, timeout=10)\n"
            "except urllib.error.HTTPError as error: answer = error\n"
            "except OSError as error: sys.exit(print(json.dumps([0, str(error)])))\n"
            "print(json.dumps([answer.status, answer.read().decode()]))"
        )
        status, body = json.loads(self.run(f"python3 -c {shlex.quote(code)}"))
        return status, body

    def api(self, path: str) -> t.Any:
        status, body = self.ask(path)
        assert status == 200, f"{path}: {status} {body}"
        return json.loads(body)

    def write(self, key: str, value: str) -> bool:
        """Whether the key could be written through this node."""
        return self.ask(f"/v1/kv/{key}", value) == (200, "true")

    def writes(self, key: str, value: str) -> None:
        """Write the key. Like each client, it asks again: an agent may still send one request to a server that was just lost."""
        until(f"{self.name} writes {key}", lambda: self.write(key, value))

    def read(self, key: str) -> str | None:
        """The key's value as the leader has it; None when there is none."""
        status, body = self.ask(f"/v1/kv/{key}?raw&consistent")
        assert status in (200, 404), body
        return body if status == 200 else None


def environment() -> dict[str, str]:
    """What Molecule runs playbooks with, but for pipelining: converge is the run with Ansible's defaults, and each one after it takes less time."""
    own = {name: value for name, value in os.environ.items() if "COLOR" not in name}
    given = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), **SETTINGS["provisioner"].get("env", {})}
    return {
        **own,
        "MOLECULE_PROJECT_DIRECTORY": str(PROJECT),
        "ANSIBLE_HOST_KEY_CHECKING": "false",
        "ANSIBLE_PIPELINING": "true",
        **{name: expanded(text) for name, text in given.items()},
    }


def expanded(text: str) -> str:
    return text.replace("${MOLECULE_PROJECT_DIRECTORY}", str(PROJECT)).replace("${MOLECULE_SCENARIO_DIRECTORY}", str(SCENARIO))


INVENTORY = [expanded(argument) for argument in SETTINGS["provisioner"]["ansible_args"]]


def read_nodes(*inventory: str) -> list[Node]:
    """The nodes of an inventory, servers first."""
    listed = subprocess.run(["ansible-inventory", "--list", *inventory], cwd=PROJECT, env=environment(), check=True, capture_output=True, text=True).stdout
    groups = json.loads(listed)
    variables = groups["_meta"]["hostvars"]
    machines = {one["address"]: f"discovery-test-{one['name']}" for one in SETTINGS["platforms"]}

    def hosts(group: str) -> list[str]:
        found = groups.get(group, {})
        return [*found.get("hosts", []), *(host for child in found.get("children", []) for host in hosts(child))]

    return [
        Node(host.partition(".")[0], host, variables[host]["ansible_host"], group == "consul_servers", machines[variables[host]["ansible_host"]])
        for group in ("consul_servers", "consul_clients")
        for host in hosts(group)
    ]


NODES = read_nodes(*INVENTORY)
SERVERS = [node for node in NODES if node.server]
CLIENT = NODES[-1]
ADDED = next((node for node in read_nodes(*INVENTORY, FIFTH) if node not in NODES), None) if (CACHE / "fifth_host").is_dir() else None


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def play() -> t.Callable[..., str]:
    """Run a playbook of the collection, or a file, on the hosts; what it printed."""

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
            nodes = [node for node in self.nodes if node.server == server]
            return [{"name": node.name, "address": node.address, **({"http": f"https://{node.address}:8501"} if server else {})} for node in nodes]

        trust = str(SECRETS / "ca.pem") if pattern == "localhost" else "/etc/discovery.consul/{{ inventory_hostname.split('.') | first }}/ca.pem"
        arguments = json.dumps({"servers": listed(True), "clients": listed(False), "token": secret("health"), "ca_cert": trust, **options})
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
            result = self.judge(**options)["localhost"]
            if result["verdict"] == verdict:
                return result
            assert result["verdict"] != "healthy", f"healthy, where {verdict} is the truth"
            assert time.monotonic() < deadline, f"not {verdict} within {seconds} s: {shown(result)}"

    def is_healthy_again(self, seconds: float = 90) -> Json:
        result = self.judge(wait_for="healthy", timeout=seconds, samples=2)["localhost"]
        assert result["verdict"] == "healthy", shown(result)
        return result

    def leader(self) -> Node:
        result = self.is_healthy_again()
        return next(node for node in SERVERS if node.name == result["leader"]["name"])


def started(nodes: list[Node]) -> list[str]:
    """When their containers started."""
    return [node.run(f"docker inspect --format '{{{{.State.StartedAt}}}}' {node.name}").strip() for node in nodes]


class Commands:
    """Every command line of processes while it is entered; hosts are containers here, so this machine sees theirs among its own."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Commands:
        self._thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.seen.update(" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))


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
