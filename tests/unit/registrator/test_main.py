# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as its users meet it: exit codes and messages."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from agent import Agent
from registrator import VERSION
from registrator.__main__ import main


@pytest.mark.parametrize(
    "words, code, text",
    [
        ("--version", 0, VERSION),
        ("-h", 0, "registrator [options] <registry URI>"),
        ("", 2, "Missing required argument for registry URI."),
        ("consul: -cleanup", 2, "Options should come before the registry URI argument."),
        ("-version", 2, "flag provided but not defined: -version"),
        ("--version consul:", 2, "flag provided but not defined: -version"),
        ("-ttl 5 consul:", 1, "-ttl and -ttl-refresh must be specified together or not at all"),
        ("nope://x", 1, "unrecognized adapter: nope://x"),
        ("consul://127.0.0.1:1", 1, "Connection refused"),
        ("-retry-attempts 2 -retry-interval 1 consul://127.0.0.1:1", 1, "Connecting to backend (2/2)"),
    ],
)
def test_exit_code_and_message(words: str, code: int, text: str, capsys: pytest.CaptureFixture) -> None:
    assert main(words.split(), {}) == code
    output = "".join(capsys.readouterr())
    assert text in output
    assert "Traceback" not in output


def test_a_password_in_the_uri_is_not_logged(capsys: pytest.CaptureFixture) -> None:
    assert main(["consul://user:secret@127.0.0.1:1"], {}) == 1
    output = capsys.readouterr().err
    assert "Using consul adapter: consul://127.0.0.1:1" in output
    assert "secret" not in output


def test_no_engine_at_the_start_is_an_error(agent: Agent, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert main([f"consul://{agent.address}"], {"DOCKER_HOST": f"unix://{tmp_path}/none"}) == 1
    assert "Docker engine: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "uri", ["nope://u:secret@x", "consul://u:secret@h:port", "consul://u:se/cret@h:port", "consulkv://u:secret@h:1", "skydns2://u:secret@h:1"]
)
def test_a_password_in_a_uri_that_is_not_understood_is_not_logged_either(uri: str, capsys: pytest.CaptureFixture) -> None:
    assert main([uri], {}) == 1
    output = "".join(capsys.readouterr())
    assert "cret" not in output
    assert "adapter" in output


def test_an_agent_that_answers_nonsense_is_an_error_and_no_traceback(agent: Agent, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    agent.answer = (200, b"<html>please log in</html>")
    assert main([f"consul://{agent.address}"], {"DOCKER_HOST": f"unix://{tmp_path}/none"}) == 1
    output = capsys.readouterr().err
    assert "is answered by what is no registry's answer: '<html>please log in</html>'" in output
    assert "Traceback" not in output


def test_a_signal_while_it_waits_for_the_registry_ends_it() -> None:
    program = [sys.executable, "-m", "registrator", "-retry-attempts", "-1", "-retry-interval", "600000", "consul://127.0.0.1:1"]
    with subprocess.Popen(program, env={"PYTHONPATH": os.pathsep.join(sys.path)}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "Connecting to backend (0/-1)" not in process.stderr.readline():
            assert process.poll() is None
        process.terminate()
        assert process.wait(20) == 0
