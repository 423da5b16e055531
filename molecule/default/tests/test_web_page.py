# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The web page in a real browser: the list of services and the list of nodes."""

from __future__ import annotations

import json
import typing as t

import pytest
from conftest import NODES, secret
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 30


@pytest.fixture(scope="module")
def page(tunnel: t.Callable[[int], int]) -> str:
    return f"http://127.0.0.1:{tunnel(8500)}"


@pytest.fixture(scope="module")
def consul_page(page: str, browser: webdriver.Chrome) -> webdriver.Chrome:
    log_in(browser, page)
    return browser


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


def test_the_list_of_services(page: str, consul_page: webdriver.Chrome) -> None:
    shows(consul_page, f"{page}/ui/dc1/services", ["consul", "consul-8300", "consul-8500", "consul-8600"])


def test_the_list_of_nodes(page: str, consul_page: webdriver.Chrome) -> None:
    shows(consul_page, f"{page}/ui/dc1/nodes", [word for node in NODES for word in (node.name, node.address)])
