# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real plays on this machine, at once: as the controller itself, and through a connection, as on any other host."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Work alone
      block:
        - name: Keep other plays out
          discovery.consul.play_lock:
            path: "{{ lock }}"
        - name: Refresh it
          discovery.consul.play_lock:
            path: "{{ lock }}"
        - name: Work
          ansible.builtin.wait_for:
            path: "{{ go_on }}"
            timeout: 60
          when: go_on is defined and not ansible_check_mode
      always:
        - name: Let other plays in
          discovery.consul.play_lock:
            path: "{{ lock }}"
            state: absent
"""
CONNECTION = """
DOCUMENTATION = "name: apart\\nshort_description: This machine, as if it were another one\\ndescription: For tests.\\noptions: {}"
from ansible.plugins.connection.local import Connection as Local
class Connection(Local):
    transport = "apart"
"""

Start = t.Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=["local", "apart"])
def start(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Iterator[Start]:
    """Starts a play on two hosts of the inventory that are one machine; what still runs at the end is ended."""
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "apart.py").write_text(CONNECTION)
    started = []
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\nhome = {tmp_path}/home\nconnection_plugins = {tmp_path}\nnocolor = true\n")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "one,two", "-c", request.param, str(tmp_path / "play.yml")]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-e", f"lock={tmp_path}/run/lock"]

    def start(*arguments: str) -> subprocess.Popen[str]:
        play = subprocess.Popen([*command, *arguments], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        started.append(play)
        return play

    yield start
    for play in started:
        if play.poll() is None:
            os.killpg(play.pid, signal.SIGKILL)
            play.communicate()


def wait_for(path: pathlib.Path, play: subprocess.Popen[str]) -> None:
    """Until the play has written the file."""
    while not path.exists() or not path.read_text():
        assert play.poll() is None, play.communicate()[0]
        time.sleep(0.05)


def test_the_second_play_is_told_who_holds_the_lock(start: Start, tmp_path: pathlib.Path) -> None:
    lock, go_on = tmp_path / "run" / "lock", tmp_path / "go_on"
    first = start("-e", f"go_on={go_on}")
    wait_for(lock, first)
    holder = json.loads(lock.read_text())["holder"]
    assert holder["pid"] == first.pid

    second = start()
    output = " ".join(second.communicate(timeout=60)[0].split())
    assert second.returncode == 2
    assert f"Another play works on this host: {holder['user']}@{holder['controller']}:{first.pid}, since " in output
    assert "changed=0" in output

    checked = start("--check")
    assert checked.communicate(timeout=60)
    assert checked.returncode == 0
    assert json.loads(lock.read_text())["holder"] == holder

    go_on.touch()
    output = first.communicate(timeout=60)[0]
    assert first.returncode == 0, output
    assert "changed=0" in output
    assert not lock.exists()


def test_a_play_that_was_killed_is_succeeded_at_once(start: Start, tmp_path: pathlib.Path) -> None:
    lock, go_on = tmp_path / "run" / "lock", tmp_path / "go_on"
    first = start("-e", f"go_on={go_on}")
    wait_for(lock, first)
    os.kill(first.pid, signal.SIGKILL)  # and nobody waits for it yet: a zombie is dead, too
    again = start()
    output = " ".join(again.communicate(timeout=60)[0].split())
    go_on.touch()  # for what it left running
    first.wait()
    assert again.returncode == 0, output
    assert f":{first.pid}, since " in output
    assert "was taken over" in output
    assert not lock.exists()
