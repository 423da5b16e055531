# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that the first pages show, run on the machine of the nodes: each prints what its page says."""

from __future__ import annotations

import base64
import re
import typing as t

import pytest
from conftest import PROJECT, Machine, secret

FOLDER = "/root/work-tree"


def told(text: str) -> list[tuple[str, str]]:
    """Each line of a page's consoles that begins with $, and what follows it."""
    consoles = "".join(re.findall(r"^```console\n(.*?)^```", text, re.M | re.S))
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", consoles, re.M)


def comparable(text: str) -> str:
    """What is the same on each machine and with each release: an address of a host, its name and the number of a release are not."""
    for pattern, word in (
        (r"\b[0-9a-f]{8}(?=\.addr\.)", "ADDRESS"),
        (r"^(?!172\.30)\d+\.\d+\.\d+\.\d+$", "ADDRESS"),
        (r'(?<="ID":")[^:]+', "HOST"),
        (r"(?<=  )\d+\.\d+\.\d+ *$", "RELEASE"),
    ):
        text = re.sub(pattern, word, text, flags=re.M)
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


@pytest.fixture
def run(machine: Machine) -> t.Iterator[t.Callable[[str], str]]:
    """Run commands in a folder that has the token of people where the work tree has it, in one shell after the other with the same variables."""
    machine.run(f"umask 077; mkdir -p {FOLDER}/secrets/dc1/tokens; cat >{FOLDER}/secrets/dc1/tokens/operator <<'EOF'\n{secret('operator')}\nEOF")
    exported: list[str] = []

    def one(command: str) -> str:
        if command.startswith("export "):
            exported.append(command)
        script = "\n".join([f"cd {FOLDER}", *exported, command])
        return t.cast(str, machine.run(f"echo {base64.b64encode(script.encode()).decode()} | base64 --decode | timeout 60 bash -e"))

    yield one
    machine.run(f"docker rm --force hello hello-1 hello-2 >/dev/null 2>&1; rm -rf {FOLDER}")


def instances(run: t.Callable[[str], str]) -> int:
    return len(run("dig +short @127.0.0.1 -p 8600 hello.service.consul SRV").splitlines())


@pytest.mark.parametrize("page", ["README.md", "docs/first-hour.md"])
def test_commands_print_what_their_page_says(machine: Machine, run: t.Callable[[str], str], page: str) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    started = re.findall(r"^docker run .*?(?=^```)", text, re.M | re.S)
    for command in started:
        run(command)
    machine.until("what was started is found", lambda: instances(run) == len(started))
    found = told(text)
    assert len(found) >= 3
    for command, printed in found:
        assert comparable(run(command)) == comparable(printed), command
        if command.startswith("docker run --detach --name hello-2"):
            machine.until("both are found", lambda: instances(run) == 2)
