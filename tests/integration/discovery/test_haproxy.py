# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy follows Consul's DNS by itself, with the configuration that the documentation shows."""

from __future__ import annotations

import http.client
import os
import pathlib
import typing as t

import consul_agent
import pytest
from backends import Ledger
from fake_consul import eventually
from proxies import Haproxy
from servers import Server

IMAGE = os.environ.get("TEST_PROXIES_IMAGE", "")

pytestmark = pytest.mark.skipif(not IMAGE, reason="TEST_PROXIES_IMAGE is not set")


def answers(port: int, count: int = 30) -> t.List[str]:
    """Who answers, or how it fails."""
    found = []
    for _unused in range(count):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            found.append(answer.read().decode() if answer.status == 200 else str(answer.status))
        except (OSError, http.client.HTTPException) as error:
            found.append(repr(error))
        finally:
            connection.close()
    return found


def test_the_backends_are_the_registrys(server: t.Callable[..., Server], tmp_path: pathlib.Path) -> None:
    consul = server(ports={"dns": consul_agent.free_port()}).ready()
    ledger = Ledger(consul)
    first, second = ledger.start(), ledger.start()
    proxy = Haproxy(IMAGE, tmp_path, consul.ports["dns"])
    try:
        eventually(lambda: set(answers(proxy.port)) == {first.name, second.name}, 30)
        third = ledger.start()
        eventually(lambda: set(answers(proxy.port)) == {first.name, second.name, third.name}, 30)
        # One that dies is asked no more at once, and one that drains is forgotten before it ends.
        ledger.end(first.name, abruptly=True)
        assert set(answers(proxy.port)) <= {first.name, second.name, third.name}
        ledger.end(second.name, abruptly=False)
        eventually(lambda: set(answers(proxy.port)) == {third.name}, 30)
        # While Consul is away, the last list is used.
        consul.kill()
        assert set(answers(proxy.port, 100)) == {third.name}
        consul.start()
        consul.ready()
        fourth = ledger.start()
        eventually(lambda: set(answers(proxy.port)) == {third.name, fourth.name}, 30)
    finally:
        print(proxy.container.logs()[-2000:])
        proxy.container.remove()
        ledger.stop()
