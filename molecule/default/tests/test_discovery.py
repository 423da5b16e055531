# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration: services are found by tag and called while instances and Consul come and go, and a page shows it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import threading
import typing as t

import pytest
from conftest import NODES, Machine
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

Play = t.Callable[..., str]

CLIENT = NODES[-1]
DNS = (
    "import dns.message, dns.query; q = dns.message.make_query('{name}', 'SRV');"
    f"a = dns.query.tcp(q, '127.0.0.1', timeout=5, port={8600 + CLIENT.offset});"
    "print(*sorted(r.port for s in a.answer for r in s))"
)


@pytest.fixture(scope="module")
def demonstration(play: Play, tunnel: t.Callable[[int], int], machine: Machine, browser: webdriver.Chrome) -> t.Iterator[tuple[str, list[str]]]:
    """Run it with a browser on its page; what it printed, and what the page showed one after the other."""
    shown: list[str] = []
    ended = threading.Event()

    def text() -> str:
        """What the page shows; nothing as long as no page is there, or while it is exchanged."""
        try:
            return browser.find_element(By.ID, "columns").text
        except WebDriverException:
            return ""

    def opened() -> bool:
        with contextlib.suppress(WebDriverException):
            browser.get(f"http://127.0.0.1:{port}/")
        return bool(text())

    def watch() -> None:
        # The image is built first, which takes as long as it takes.
        while not ended.wait(0.5) and not opened():
            pass
        while not ended.wait(0.5):
            if (now := text()) and now not in shown[-1:]:
                shown.append(now)

    port = tunnel(8000)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        watcher = pool.submit(watch)
        try:
            output = play("playbooks/demo.yml")
        finally:
            ended.set()
        watcher.result()
    browser.get("about:blank")
    yield output, shown
    play("playbooks/demo.yml", "-e", "demo_state=absent")
    machine.until("nothing of it is registered", lambda: not {"web", "rpc"} & set(machine.api("/v1/catalog/services")))


def test_no_call_fails_whatever_happens(demonstration: tuple[str, list[str]]) -> None:
    output = re.sub(r"\s+", " ", demonstration[0])
    calls = re.search(r"(\d+) calls, (\d+) of them with a second try, 0 failed", output)
    assert calls, output[-3000:]
    assert int(calls[1]) > 300


def test_each_step_says_what_was_done_and_when_the_application_was_told(demonstration: tuple[str, list[str]]) -> None:
    output = re.sub(r"\s+", " ", demonstration[0])
    for words in (
        "What was done: docker exec demo-web-2 touch /tmp/sick",
        "of web v2: removed demo-web-2",
        "of web v2: removed demo-web-3",
        "What was done: docker stop demo-web-2",
        "Consul's leader was killed",
        "Consul is stopped altogether",
        "Consul was started again",
        "is told of demo-web-2, demo-web-3 for web v2",
    ):
        assert words in output, words
    told = [float(seconds) for seconds in re.findall(r"The application was told after ([\d.]+) s", output)]
    assert len(told) > 10
    # Killed containers are told of by Registrator at once; the others by a check each second.
    assert max(told) < 60


def test_the_page_shows_each_change_by_itself(demonstration: tuple[str, list[str]]) -> None:
    shown = demonstration[1]
    assert shown, "the page was never there"
    for words in ("demo-web-1", "v1, blue", "critical", "removed demo-web-2", "Consul does not answer, so the last list is used"):
        assert any(words in text for text in shown), f"{words!r} was never seen, but {shown[-1]}"
    assert "Consul does not answer" not in shown[-1]


def test_dns_finds_instances_by_their_tags(machine: Machine, demonstration: tuple[str, list[str]]) -> None:
    assert demonstration
    assert {name: machine.python(DNS.format(name=f"{name}.service.consul")).split() for name in ("v1.web", "v2.web", "blue.web", "v2.rpc")} == {
        "v1.web": ["18101", "18102"],
        "v2.web": ["18102", "18103"],
        "blue.web": ["18101", "18103"],
        "v2.rpc": ["18202", "18203"],
    }


def test_nginx_calls_the_instances_that_the_renderer_wrote(machine: Machine, demonstration: tuple[str, list[str]]) -> None:
    assert demonstration
    code = "import json, urllib.request\nprint(json.dumps([json.load(urllib.request.urlopen('http://127.0.0.1:8081/greetings/zh')) for _ in range(6)]))"
    answers = json.loads(machine.python(code))
    assert {answer["greeting"] for answer in answers} == {"你好"}
    assert {answer["instance"] for answer in answers} == {"demo-web-1", "demo-web-2", "demo-web-3"}
