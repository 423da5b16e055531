# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The web page in a real browser: the list of services and the list of nodes."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import typing as t

import pytest
from conftest import ADDRESS, NODES, SSH, secret
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 30


@pytest.fixture(scope="module")
def page() -> t.Iterator[str]:
    """The web page's address on this machine, through SSH: on its host it is published on loopback only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tunnel = subprocess.Popen(["ssh", *SSH, "-o", "ExitOnForwardFailure=yes", "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:8500", f"root@{ADDRESS}"])
    try:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert time.monotonic() < deadline, "the tunnel does not open"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        tunnel.terminate()
        tunnel.wait()


@pytest.fixture(scope="module")
def browser(page: str) -> t.Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for option in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--window-size=1600,1200"):
        options.add_argument(option)
    options.binary_location = "/usr/bin/chromium"
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    log_in(driver, page)
    yield driver
    driver.quit()


def log_in(browser: webdriver.Chrome, page: str) -> None:
    """As the page's own dialogue keeps it."""
    browser.get(f"{page}/ui/")
    token = json.dumps({"AccessorID": "", "SecretID": secret("operator"), "Namespace": "default"})
    browser.execute_script("window.localStorage.setItem('consul:token', arguments[0])", token)


def shows(browser: webdriver.Chrome, address: str, words: list[str]) -> None:
    """Wait until a person would see all words on the page."""
    browser.get(address)

    def all_there(driver: webdriver.Chrome) -> bool:
        text = driver.find_element(By.TAG_NAME, "body").text
        return all(word in text for word in words)

    WebDriverWait(browser, SECONDS).until(all_there, f"{words} on {address}")


def test_the_list_of_services(page: str, browser: webdriver.Chrome) -> None:
    shows(browser, f"{page}/ui/dc1/services", ["consul", "consul-8300", "consul-8500", "consul-8600"])


def test_the_list_of_nodes(page: str, browser: webdriver.Chrome) -> None:
    shows(browser, f"{page}/ui/dc1/nodes", [word for node in NODES for word in (node.name, node.address)])
