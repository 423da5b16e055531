# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine under test, what its nodes answer, and the site's playbooks run on it."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import time
import typing as t
from dataclasses import dataclass

import pytest
import testinfra
from selenium import webdriver
from testinfra.host import Host

PROJECT = pathlib.Path(__file__).resolve().parents[3]
KEY = PROJECT / ".cache" / "molecule" / "id_ed25519"
SECRETS = PROJECT / ".cache" / "molecule" / "default" / "secrets"
ADDRESS = "10.213.0.11"
PYTHON = "/opt/discovery.consul/venv/bin/python"
SSH = ["-i", str(KEY), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]


@dataclass(frozen=True)
class Node:
    """A row of the table of nodes."""

    name: str
    offset: int
    server: bool
    address: str


NODES = [
    Node("node1", 0, True, "172.30.0.11"),
    Node("node2", 1000, True, "172.30.0.12"),
    Node("node3", 2000, True, "172.30.0.13"),
    Node("node4", 3000, False, "172.30.0.14"),
]
SERVERS = [node for node in NODES if node.server]


def secret(token: str) -> str:
    return (SECRETS / "tokens" / token).read_text().strip()


class Machine:
    """The host of the containers."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def run(self, command: str) -> str:
        """What a command prints; it must succeed."""
        result = self.host.run(command)
        assert result.rc == 0, f"{command}: {result.stdout} {result.stderr}"
        return t.cast(str, result.stdout)

    def python(self, code: str) -> str:
        return self.run(f"{PYTHON} -c {shlex.quote(code)}")

    def ask(self, path: str, offset: int = 0, token: str = "", method: str = "GET", data: str = "") -> tuple[int, str]:
        """Status and body of what a node's HTTP interface answers."""
        url = f"http://127.0.0.1:{8500 + offset}{path}"
        code = (
            "import json, urllib.error, urllib.request\n"
            f"request = urllib.request.Request({url!r}, {data.encode()!r} or None, {{'X-Consul-Token': {token!r}}}, method={method!r})\n"
            "try: answer = urllib.request.urlopen(request, timeout=10)\n"
            "except urllib.error.HTTPError as error: answer = error\n"
            "print(json.dumps([answer.status, answer.read().decode()]))"
        )
        status, body = json.loads(self.python(code))
        return status, body

    def api(self, path: str, offset: int = 0) -> t.Any:
        """What a node answers who may do everything."""
        status, body = self.ask(path, offset, secret("management"))
        assert status == 200, f"{path}: {status} {body}"
        return json.loads(body)

    def consul(self, node: str, arguments: str) -> str:
        """What the program prints in a node's container, for one who may do everything."""
        return self.run(f"docker exec --env CONSUL_HTTP_TOKEN={secret('management')} {node} consul {arguments}").strip()

    def until(self, what: str, check: t.Callable[[], t.Any], seconds: float = 20) -> None:
        """Wait until `check` holds."""
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            time.sleep(0.5)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    # The connection is kept for the next command: to open one costs more than most commands do.
    connection = tmp_path_factory.mktemp("ssh") / "connection"
    host = testinfra.get_host(f"ssh://root@{ADDRESS}", ssh_identity_file=str(KEY), ssh_extra_args=shlex.join(SSH[2:]), controlpath=str(connection))
    return Machine(host)


def command(playbook: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """How a playbook of the project is run on the machine: the command and its environment."""
    inventories = [f"--inventory={PROJECT / 'inventory' / 'four_node'}", f"--inventory={PROJECT / 'molecule' / 'default' / 'inventory'}"]
    environment = {name: value for name, value in os.environ.items() if "COLOR" not in name}
    environment.update(MOLECULE_PROJECT_DIRECTORY=str(PROJECT), ANSIBLE_CONFIG=str(PROJECT / "ansible.cfg"), ANSIBLE_HOST_KEY_CHECKING="false")
    # Molecule sends what -vvv adds to the standard error; tests read all of it in one place.
    environment["ANSIBLE_VERBOSE_TO_STDERR"] = "false"
    return ["ansible-playbook", *inventories, playbook, *arguments], environment


@pytest.fixture(scope="session")
def play() -> t.Callable[..., str]:
    """Run a playbook of the project on the machine; what it printed."""

    def run(playbook: str, *arguments: str, code: int = 0) -> str:
        line, environment = command(playbook, *arguments)
        done = subprocess.run(line, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def interrupted() -> t.Callable[..., None]:
    """Run a playbook and kill it with all its children as soon as `when` holds."""

    def run(playbook: str, *arguments: str, when: t.Callable[[], bool]) -> None:
        line, environment = command(playbook, *arguments)
        process = subprocess.Popen(line, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while not when():
            assert process.poll() is None, "the play ended before it could be interrupted"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    return run


@pytest.fixture(scope="session")
def tunnel() -> t.Iterator[t.Callable[[int], int]]:
    """Reach a port of the machine's loopback, where its pages are published, through SSH; the port of this machine."""
    tunnels: list[subprocess.Popen[bytes]] = []

    def reach(port: int) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            here = int(probe.getsockname()[1])
        tunnels.append(subprocess.Popen(["ssh", *SSH, "-o", "ExitOnForwardFailure=yes", "-N", "-L", f"127.0.0.1:{here}:127.0.0.1:{port}", f"root@{ADDRESS}"]))
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", here)) != 0:
            assert time.monotonic() < deadline, "the tunnel does not open"
            time.sleep(0.1)
        return here

    yield reach
    for one in tunnels:
        one.terminate()
        one.wait()


@pytest.fixture(scope="session")
def browser() -> t.Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for option in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--window-size=1600,1200"):
        options.add_argument(option)
    options.binary_location = "/usr/bin/chromium"
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()
