# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``consul-discovery`` as a shell sees it."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import typing as t

import consul_discovery
import pytest
from fake_consul import FakeConsul, entry, eventually, http

Command = t.Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def command(consul: FakeConsul) -> t.Iterator[Command]:
    started: t.List[subprocess.Popen[str]] = []

    def command(*words: str, **environment: str) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CONSUL_")}
        own = {"PYTHONPATH": str(pathlib.Path(consul_discovery.__file__).parents[1]), "CONSUL_HTTP_ADDR": consul.url}
        arguments = [sys.executable, "-m", "consul_discovery", *words]
        started.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**kept, **own, **environment}))
        return started[-1]

    # A shell that runs these tests in the background has them ignore SIGINT, and what they start would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield command
    signal.signal(signal.SIGINT, before)
    for process in started:
        process.kill()
        process.communicate()


def test_get_prints_once(consul: FakeConsul, command: Command) -> None:
    consul.set(entry("a", tags=["v2"]), entry("b", tags=["v2"]), entry("c"))
    process = command("get", "web", "--tag", "v2")
    assert process.communicate() == ("web a 10.0.0.2:80 [v2] passing\nweb b 10.0.0.2:80 [v2] passing\n", "")
    assert process.returncode == 0


def test_get_prints_json(consul: FakeConsul, command: Command) -> None:
    consul.set(entry("a", Meta={"k": "v"}))
    out, _unused = command("get", "web", "--json").communicate()
    assert json.loads(out) == {
        "id": "a", "service": "web", "node": "node1", "address": "10.0.0.2", "port": 80, "tags": [], "meta": {"k": "v"}, "status": "passing",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["get", "web"], 1, ""),
        (["get", "web", "--timeout", "0.3", "--url", "http://127.0.0.1:1"], 3, "There is no list of web yet: http://127.0.0.1:1 refuses connections"),
        (["get", "web", "--url", "ftp://x"], 2, "consul-discovery: ftp://x: the agent is reached by http://"),
        (["get", ""], 2, "not empty"),
        (["get"], 2, "required: service"),
        ([], 2, "required: COMMAND"),
    ],
)
def test_exit_codes(command: Command, words: t.List[str], code: int, says: str) -> None:
    process = command(*words)
    out, err = process.communicate()
    assert (process.returncode, out) == (code, "") and says in err and "Traceback" not in err


def test_a_refusal_names_the_right(consul: FakeConsul, command: Command) -> None:
    consul.script = lambda _unused: http(b"Permission denied", 403)
    process = command("get", "web", "--timeout", "0.5", CONSUL_HTTP_TOKEN="my-secret")
    _unused, err = process.communicate()
    assert process.returncode == 3 and 'the token needs `service "web"' in err and "my-secret" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watch_prints_the_list_and_then_changes(consul: FakeConsul, command: Command, number: signal.Signals) -> None:
    consul.set(entry("a"))
    process = command("watch", "web")
    assert process.stdout and process.stdout.readline() == "added web a 10.0.0.2:80 passing\n"
    consul.set(entry("b\x1b[2J"))
    assert process.stdout.readline() == "added web b\\x1b[2J 10.0.0.2:80 passing\n"
    assert process.stdout.readline() == "removed web a 10.0.0.2:80 passing\n"
    process.send_signal(number)
    _unused, err = process.communicate(timeout=10)
    assert process.returncode == (0 if number == signal.SIGTERM else 130) and err == ""


def test_watch_prints_json(consul: FakeConsul, command: Command) -> None:
    consul.set(entry("a"))
    process = command("watch", "web", "--json")
    assert process.stdout and json.loads(process.stdout.readline())["change"] == "added"


def test_watch_ends_when_nobody_reads(consul: FakeConsul, command: Command) -> None:
    consul.set(entry("a"))
    process = command("watch", "web")
    assert process.stdout and process.stdout.readline()
    process.stdout.close()
    consul.set(entry("b"))
    eventually(lambda: process.poll() is not None)
    assert process.stderr and "Traceback" not in process.stderr.read() and process.returncode == 141
