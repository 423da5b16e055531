# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the image's HEALTHCHECK makes of a command line and of an answer."""

from __future__ import annotations

import typing as t

import pytest
from registrator.probe import listen_address, trouble
from registrator.web import serve
from test_web import State

INIT = ["/sbin/docker-init", "--"]
PROGRAM = ["python3", "-m", "registrator"]


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ([*PROGRAM, "-listen=127.0.0.1:9810", "consul://"], "127.0.0.1:9810"),
        ([*INIT, *PROGRAM, "-cleanup", "--listen", ":9810", "consul://"], "127.0.0.1:9810"),
        ([*INIT, *PROGRAM, "-listen=0.0.0.0:9810", "consul://"], "127.0.0.1:9810"),
        ([*INIT, *PROGRAM, "-listen=[::]:9810", "consul://"], "[::1]:9810"),
        ([*INIT, *PROGRAM, "consul://"], ""),
        ([*INIT, "python3", "-m", "registrator.proxy"], ""),
        (["sleep", "900"], ""),
    ],
)
def test_the_address_is_read_from_the_command_line(words: t.List[str], address: str) -> None:
    assert listen_address(words) == address


def test_what_is_wrong_is_told() -> None:
    state = State()
    server = serve("127.0.0.1:0", state)
    line = [*PROGRAM, f"-listen=127.0.0.1:{server.server_address[1]}", "consul://"]
    assert trouble(line) == ""
    state.healthy = False
    assert trouble(line) == '{"healthy": false}'
    server.shutdown()
    server.server_close()
    assert "refused" in trouble(line)


def test_without_an_address_nothing_is_wrong() -> None:
    assert trouble([*PROGRAM, "consul://"]) == ""
