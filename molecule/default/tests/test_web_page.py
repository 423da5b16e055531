# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The web page in a real browser: the list of services and the list of nodes."""

from __future__ import annotations

import pathlib
import shutil
import socket
import subprocess
import time
import typing as t

import pytest
from conftest import ADDRESS, NODES, SSH

PORT = 18500


@pytest.fixture(scope="module")
def page() -> t.Iterator[str]:
    """The web page's address on this machine, through SSH: on its host it is published on loopback only."""
    tunnel = subprocess.Popen(["ssh", *SSH, "-N", "-L", f"127.0.0.1:{PORT}:127.0.0.1:8500", f"root@{ADDRESS}"])
    try:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", PORT)) != 0:
            assert time.monotonic() < deadline, "the tunnel does not open"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{PORT}"
    finally:
        tunnel.terminate()
        tunnel.wait()


def seen(address: str, folder: pathlib.Path) -> str:
    """What the browser shows once the page's own requests are answered."""
    browser = shutil.which("chromium")
    assert browser, "chromium is not installed"
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    command = [browser, *options, f"--user-data-dir={folder}", "--virtual-time-budget=15000", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_list_of_services(page: str, tmp_path: pathlib.Path) -> None:
    shown = seen(f"{page}/ui/dc1/services", tmp_path)
    assert all(name in shown for name in ("consul-8300", "consul-8500", "consul-8600"))


def test_the_list_of_nodes(page: str, tmp_path: pathlib.Path) -> None:
    shown = seen(f"{page}/ui/dc1/nodes", tmp_path)
    assert all(node.name in shown and node.address in shown for node in NODES)
