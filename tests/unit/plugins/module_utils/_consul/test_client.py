# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The adapter over the libraries for Consul."""

from __future__ import annotations

import os
import socket
import sys
import time
import typing as t
import warnings
from importlib import metadata

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import client
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client, ConsulError, LibraryError, LibraryMissingError
from fake_agent import Agent

LEADER = {"/v1/status/leader": (200, "10.0.0.1:8300")}


def test_a_question_carries_the_token_as_a_header_each_time() -> None:
    with Agent(LEADER) as agent:
        consul = Client(agent.url, token="secret")
        assert consul.get("/v1/status/leader", stale="").data == "10.0.0.1:8300"
        assert consul.put("/v1/kv/a", "1").data is True
        assert consul.delete("/v1/kv/a").data is True
    assert agent.log == [
        ("GET", "/v1/status/leader", "stale=", "secret"),
        ("PUT", "/v1/kv/a", "", "secret"),
        ("DELETE", "/v1/kv/a", "", "secret"),
    ]


def test_the_environment_says_nothing_and_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"ADDR": "127.0.0.1:1", "TOKEN": "foreign", "SSL": "true", "SSL_VERIFY": "false"}
    for name, value in settings.items():
        monkeypatch.setenv(f"CONSUL_HTTP_{name}", value)
    with Agent(LEADER) as agent:
        assert Client(agent.url).get("/v1/status/leader").good
        assert Client(agent.url, token="ours").get("/v1/status/leader").good
    assert [token for _method, _path, _query, token in agent.log] == [None, "ours"]
    assert {name: os.environ[f"CONSUL_HTTP_{name}"] for name in settings} == settings


def test_no_deprecation_of_the_library_is_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        Client("http://127.0.0.1:8500")
    assert shown == []


@pytest.mark.parametrize(
    ("status", "body", "data", "denied"),
    [
        (429, '{"Healthy": false, "Servers": null}', {"Healthy": False, "Servers": None}, False),
        (500, "No cluster leader\n", "No cluster leader", False),
        (500, "Reading keyring denied by ACLs", "Reading keyring denied by ACLs", True),
        (403, "Permission denied", "Permission denied", True),
        (200, "[]", [], False),
    ],
)
def test_each_status_is_an_answer_with_its_body(status: int, body: str, data: t.Any, denied: bool) -> None:
    with Agent({"/v1/x": (status, body)}) as agent:
        answer = Client(agent.url).get("/v1/x")
    assert (answer.status, answer.data, answer.denied, answer.good) == (status, data, denied, status == 200)
    assert str(status) in answer.trouble


def test_headers_that_matter() -> None:
    with Agent(LEADER, headers={"X-Consul-Results-Filtered-By-ACLs": "true"}) as agent:
        answer = Client(agent.url).get("/v1/status/leader")
    assert answer.filtered
    assert answer.date == pytest.approx(time.time(), abs=5)


def test_a_path_before_the_api_and_a_trailing_slash() -> None:
    with Agent({"/consul/v1/status/leader": (200, '"10.0.0.1:8300"')}) as agent:
        assert Client(f"{agent.url}/consul/").get("/v1/status/leader").data == "10.0.0.1:8300"


def test_an_ipv6_address() -> None:
    try:
        with Agent(LEADER, host="::1") as agent:
            assert Client(agent.url).get("/v1/status/leader").good
    except OSError:
        pytest.skip("this machine has no IPv6")


@pytest.mark.parametrize("body", ["<html>a proxy</html>", ""])
def test_what_is_no_json_is_no_answer(body: str) -> None:
    with Agent({"/v1/x": (200, body)}) as agent, pytest.raises(ConsulError, match="instead of JSON") as raised:
        Client(agent.url).get("/v1/x")
    assert raised.value.url == f"{agent.url}/v1/x"


def test_nobody_listens() -> None:
    with pytest.raises(ConsulError, match=r"http://127\.0\.0\.1:1/v1/x gave no answer of Consul's: ConnectionError: .*Connection refused$") as raised:
        Client("http://127.0.0.1:1").get("/v1/x")
    assert "HTTPConnection" not in raised.value.evidence


def test_a_timeout_always_holds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(ConsulError, match="timed out"):
            Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2).get("/v1/x")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("url", ["127.0.0.1:8500", "unix:///run/consul.sock", "http://", "http://a:b", "ftp://a:8500"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConsulError, match="Write it like"):
        Client(url)


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def version(name: str) -> str:
        if name not in names:
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize("names", [("python-consul2", "py-consul"), ("python-consul2", "python-consul")])
def test_libraries_over_each_other_are_refused_with_the_repair(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    installed(monkeypatch, *names)
    with pytest.raises(LibraryError, match=r"are installed over each other.*pip uninstall -y .*pip install python-consul2"):
        client.check_library()


def test_the_library_that_cannot_send_headers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "python-consul")
    with pytest.raises(LibraryError, match="too old"):
        client.check_library()


def test_a_missing_library_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    monkeypatch.setitem(sys.modules, "consul", None)
    with pytest.raises(LibraryMissingError) as raised:
        client.check_library()
    assert raised.value.name == "python-consul2"


def test_the_installed_library_is_accepted() -> None:
    client.check_library()
    assert Client("https://[::1]:8501", verify="/ca.pem", cert=("/a", "/b"), timeout=3).url == "https://[::1]:8501"


def test_another_package_of_that_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    monkeypatch.setitem(sys.modules, "consul", type(sys)("consul"))
    with pytest.raises(LibraryError, match="no library for Consul"):
        client.check_library()
