# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two services of the demonstration, over real sockets."""

from __future__ import annotations

import json
import pathlib
import socket
import threading
import typing as t
import urllib.error
import urllib.request

import pytest
from demo import rpc, web


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> t.Iterator[web.Service]:
    monkeypatch.setattr(web, "SICK", tmp_path / "sick")
    with web.Service(0, "web-1") as found:
        threading.Thread(target=found.serve_forever, args=[0.05], daemon=True).start()
        yield found
        found.shutdown()


def get(service: web.Service, path: str) -> tuple[int, t.Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.server_address[1]}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_resource_is_read_by_its_path(service: web.Service) -> None:
    assert get(service, "/greetings") == (200, {"languages": ["de", "en", "fr", "zh"], "instance": "web-1"})
    assert get(service, "/greetings/zh?x=1") == (200, {"language": "zh", "greeting": "你好", "instance": "web-1"})


@pytest.mark.parametrize("path", ["/", "/greetings/xx", "/other/en", "/greetings/../greetings/en"])
def test_what_is_not_there_is_404(service: web.Service, path: str) -> None:
    assert get(service, path)[0] == 404


def test_it_is_unhealthy_while_the_file_is_there_and_goes_on_to_answer(service: web.Service) -> None:
    assert get(service, "/health")[0] == 200
    web.SICK.touch()
    assert (get(service, "/health")[0], get(service, "/greetings/en")[0]) == (503, 200)
    web.SICK.unlink()
    assert get(service, "/health")[0] == 200


def test_it_drains_before_it_ends(service: web.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[tuple[float, t.Callable[[], None]]] = []

    class Timer:
        def __init__(self, seconds: float, function: t.Callable[[], None]) -> None:
            timers.append((seconds, function))

        def start(self) -> None:
            pass

    monkeypatch.setattr(web.threading, "Timer", Timer)
    service.drain()
    assert (get(service, "/health")[0], get(service, "/greetings/en")[0]) == (503, 200)
    assert timers == [(web.DRAIN_SECONDS, service.shutdown)]


@pytest.fixture
def ask() -> t.Iterator[t.Callable[[bytes], t.Any]]:
    """Send a line, and read the answer, on one connection."""
    with rpc.Service(0, "rpc-1") as found:
        threading.Thread(target=found.serve_forever, args=[0.05], daemon=True).start()
        with socket.create_connection(("127.0.0.1", found.server_address[1]), 5) as connection, connection.makefile("rwb") as file:

            def act(line: bytes) -> t.Any:
                file.write(line + b"\n")
                file.flush()
                return json.loads(file.readline())

            yield act
        found.shutdown()


def test_procedures_are_called_on_one_connection(ask: t.Callable[[bytes], t.Any]) -> None:
    assert ask(b'{"id": 1, "method": "add", "params": [1, 2]}') == {"id": 1, "result": 3, "instance": "rpc-1"}
    assert ask(b'{"id": 2, "method": "multiply", "params": [3, 4]}') == {"id": 2, "result": 12, "instance": "rpc-1"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not JSON", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"method": "eval", "params": [1]}', "The methods are add, multiply."),
        (b'{"method": {}, "params": [1]}', "The methods are add, multiply."),
        (b'{"method": "add", "params": ["1"]}', "must be a list"),
        (b'{"method": "add", "params": [NaN]}', "must be a list"),
        (b'{"method": "multiply", "params": [' + b"1e5," * 99 + b"1]}", "too large"),
    ],
)
def test_what_cannot_be_answered_is_an_error_and_the_connection_stays(ask: t.Callable[[bytes], t.Any], line: bytes, words: str) -> None:
    assert words in ask(line)["error"]
    assert ask(b'{"id": 1, "method": "add", "params": [1]}')["result"] == 1
