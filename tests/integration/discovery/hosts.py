# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with systemd, which is a container on this machine, and one role of the collection that is run on it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing as t
import uuid

from servers import CONSUL

TOP = pathlib.Path(__file__).resolve().parents[3]
# As the molecule scenarios have it: everything that a host needs, where privileged mode does not work.
HOST = ["--cap-add=ALL", "--cap-drop=SYS_RESOURCE", *(f"--security-opt={name}=unconfined" for name in ("seccomp", "apparmor", "systempaths"))]
HOST += ["--tty", "--env=container=docker", "--tmpfs=/run", "--tmpfs=/run/lock", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]


class SystemdHost:
    def __init__(self, folder: pathlib.Path, image: str, name: str, *arguments: str, python: str = "/usr/bin/python3") -> None:
        self.folder, self.python, self.name = folder, python, f"{name}-{uuid.uuid4().hex[:8]}"
        subprocess.run(["docker", "run", "--detach", f"--name={self.name}", *HOST, *arguments, image], check=True, stdout=subprocess.DEVNULL)

    def run_consul(self, config: t.Dict[str, t.Any]) -> None:
        subprocess.run(["docker", "cp", CONSUL, f"{self.name}:/usr/local/bin/consul"], check=True)
        self.run(f"echo '{json.dumps(config)}' > /etc/consul.json && systemd-run --unit consul consul agent -dev -config-file /etc/consul.json")

    def run(self, script: str) -> str:
        done = subprocess.run(["docker", "exec", self.name, "sh", "-c", script], check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.strip()

    def until(self, script: str, says: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while says not in (said := self.run(script)):
            assert time.monotonic() < end, said
            time.sleep(0.5)

    def play_role(self, role: str, variables: t.Dict[str, t.Any], *words: str, entry: str = "main") -> t.Tuple[int, int, str]:
        """Run the role: its exit status, how many tasks changed something, and what was said."""
        task = {"ansible.builtin.include_role": {"name": f"discovery.consul.{role}", "tasks_from": entry}}
        (self.folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": [task]}]))
        place = {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": self.python}
        (self.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {self.name: place}}}))
        environment = {**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".venv/collections")}
        command = [sys.executable, "-m", "ansible", "playbook", "--inventory", "hosts.json", "play.yml", "--diff", *words]
        done = subprocess.run(command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert "Traceback" not in done.stdout
        changed = re.search(r"changed=(\d+)", done.stdout)
        return done.returncode, int(changed[1]) if changed else -1, done.stdout

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], check=True, stdout=subprocess.DEVNULL)
