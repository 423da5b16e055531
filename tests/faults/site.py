# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host of a scenario of molecule and the four nodes on it: how they are reached, asked, broken and changed.

The scenario is `faults`, whose host is there for this alone and publishes the nodes' ports, or the one in the environment variable
FAULTS_SCENARIO. FAULTS_TUNNEL is the address at which a tunnel gives the ports of a host that publishes none.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass

import yaml

from .workload import Agent, FailedError

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = PROJECT / "molecule" / os.environ.get("FAULTS_SCENARIO", "faults")
SECRETS = PROJECT / ".cache" / "molecule" / SCENARIO.name / "secrets" / "tokens"
(PLATFORM,) = yaml.safe_load((SCENARIO / "molecule.yml").read_text())["platforms"]
HOST = f"discovery-test-{PLATFORM['name']}"
TUNNEL = os.environ.get("FAULTS_TUNNEL", "")
ADDRESS: str = TUNNEL or PLATFORM["address"]


@dataclass(frozen=True)
class Node:
    name: str
    address: str
    server: bool
    offset: int

    @property
    def expected(self) -> dict[str, str]:
        """The node as the health check wants it."""
        return {"name": self.name, "address": self.address, "http": f"http://{ADDRESS}:{8500 + self.offset}", "dns": f"{ADDRESS}:{8600 + self.offset}"}


SERVERS = [Node(f"node{number}", f"172.30.0.1{number}", True, 1000 * (number - 1)) for number in (1, 2, 3)]
CLIENT = Node("node4", "172.30.0.14", False, 3000)
NODES = [*SERVERS, CLIENT]


def secret(name: str) -> str:
    return (SECRETS / name).read_text().strip()


def knows(token: str) -> bool:
    """Whether Consul knows the token with this secret."""
    request = urllib.request.Request(f"{NODES[0].expected['http']}/v1/acl/token/self", headers={"X-Consul-Token": token})
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except urllib.error.HTTPError as refusal:
        if refusal.code != 403:
            raise
        return False


def agent(node: Node) -> Agent:
    return Agent(node.name, ADDRESS, 8500 + node.offset, secret("management"))


def run(*words: str) -> str:
    """What a command on this machine prints; it must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout[-6000:]} {done.stderr[-2000:]}")
    return done.stdout.strip()


def shell(script: str) -> str:
    """What a script prints on the host, where the first thing that fails ends it."""
    return run("docker", "exec", HOST, "sh", "-euc", script)


def docker(*words: str) -> str:
    """The host's own engine."""
    return run("docker", "exec", HOST, "docker", *words)


def start(playbook: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`ansible-playbook` for the host, in a process group of its own."""
    inventories = [f"--inventory={PROJECT / 'inventory' / 'four_node'}", f"--inventory={SCENARIO / 'inventory'}"]
    own = {**os.environ, "MOLECULE_PROJECT_DIRECTORY": str(PROJECT), "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), **environment}
    own.update(ANSIBLE_HOST_KEY_CHECKING="false", ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null")
    command = ["ansible-playbook", *inventories, playbook, *arguments]
    return subprocess.Popen(command, cwd=PROJECT, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def play(playbook: str, *arguments: str) -> str:
    """What the playbook prints; it must succeed."""
    process = start(playbook, *arguments)
    output = process.communicate()[0]
    if process.returncode != 0:
        raise RuntimeError(output[-8000:])
    return output


def until(what: str, check: t.Callable[[], t.Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def leader() -> Node:
    """The server that the client node's cluster is led by."""
    address = str(agent(CLIENT).call("GET", "/v1/status/leader")).partition(":")[0]
    return next(node for node in SERVERS if node.address == address)


def follower() -> Node:
    return next(node for node in SERVERS if node != leader())


def registered() -> set[str]:
    """The containers whose ports are in the registry: ids are HOST:CONTAINER:PORT."""
    try:
        services = agent(CLIENT).call("GET", "/v1/agent/services")
    except FailedError:
        return set()
    return {name.split(":")[1] for name in services if name.count(":") >= 2}


def publishing() -> set[str]:
    """The running containers that publish ports."""
    lines = docker("ps", "--format", "{{.Names}} {{.Ports}}").splitlines()
    return {line.partition(" ")[0] for line in lines if "->" in line}
