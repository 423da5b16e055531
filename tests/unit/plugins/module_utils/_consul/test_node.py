# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node's options mean for its container and its host, before anything is touched."""

from __future__ import annotations

import os
import pathlib
import socket
import threading
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import node as consul_node
from ansible_collections.discovery.consul.plugins.module_utils._consul import versions
from ansible_collections.discovery.consul.plugins.module_utils._consul.config import ConfigError
from ansible_collections.discovery.consul.plugins.module_utils._consul.node import Node
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import Difference, Plan
from ansible_collections.discovery.consul.plugins.modules import consul_agent
from fake_agent import Agent

Json = t.Dict[str, t.Any]


def node(tmp_path: pathlib.Path, **options: t.Any) -> Node:
    given: Json = {name: argument.get("default") for name, argument in consul_agent.ARGUMENTS.items()}
    given.update(node_name="node1", image="consul:1", config_dir=str(tmp_path / "etc"), data_volume=str(tmp_path / "data"), **options)
    return Node(Engine(f"unix://{tmp_path}/none.sock"), given)


def test_a_container_network_implies_addresses(tmp_path: pathlib.Path) -> None:
    options = node(tmp_path, network="consul", ipv4_address="172.30.0.11")._consul_options()
    assert (options["advertise_addr"], options["client_addr"]) == ("172.30.0.11", "0.0.0.0")
    assert node(tmp_path)._consul_options()["client_addr"] is None


def test_join_is_a_retried_join(tmp_path: pathlib.Path) -> None:
    assert node(tmp_path, join=["a", "b"], retry_join=["b", "c"])._consul_options()["retry_join"] == ["b", "c", "a"]


def test_the_container_has_its_own_entrypoint_and_keeps_its_data_outside(tmp_path: pathlib.Path) -> None:
    spec = node(tmp_path, server=True)._container({"Name": "consul:1"})
    assert (spec.entrypoint, spec.command[0], spec.user, spec.hardened) == (["consul"], "agent", "100:1000", True)
    assert (str(tmp_path / "etc"), "/consul/config", True) in spec.mounts
    assert (str(tmp_path / "data"), "/consul/data", False) in spec.mounts
    assert spec.labels["discovery.consul.role"] == "server"


def test_published_ports_mean_nothing_with_the_hosts_network(tmp_path: pathlib.Path) -> None:
    assert node(tmp_path, published_ports=["1:1"])._container({"Name": "consul:1"}).published_ports == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bind_addr": "192.0.2.1"}, "bind_addr 192.0.2.1 is no address of this host"),
        (
            {"network": "consul", "ipv4_address": "172.30.0.11", "client_addr": "127.0.0.1"},
            "client_addr is a loopback address inside a container's own network",
        ),
        (
            {"network": "consul", "ipv4_address": "172.30.0.11", "addresses": {"http": "127.0.0.1"}},
            "addresses is a loopback address inside a container's own network",
        ),
        ({"ports": {"http": -1}}, "Neither HTTP nor HTTPS has a port"),
        ({"enable_syslog": True}, "enable_syslog needs /dev/none"),
    ],
)
def test_what_the_host_cannot_give_is_a_sentence(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, options: Json, words: str) -> None:
    monkeypatch.setattr(consul_node, "SYSLOG_SOCKET", "/dev/none")
    with pytest.raises(ConfigError, match=r"^Node node1: ") as error:
        node(tmp_path, **options).converge(check_mode=False)
    assert words in str(error.value)
    assert not (tmp_path / "etc").exists()


def test_a_file_that_is_not_there_changes_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"config_files names /nowhere\.json, which cannot be read \(No such file or directory\)"):
        node(tmp_path, config_files=["/nowhere.json"]).converge(check_mode=False)
    assert not (tmp_path / "etc").exists()


def test_a_data_directory_of_somebody_else_is_a_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=rf"is not writable for the agent's user 4242:4242\. Run: chown -R 4242:4242 {tmp_path}"):
        node(tmp_path, user="4242:4242").converge(check_mode=False)


def test_good_options_get_as_far_as_the_engine(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EngineError, match="does not answer"):
        node(tmp_path, bind_addr="127.0.0.1").converge(check_mode=False)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({}, ["http://127.0.0.1:8500"]),
        ({"ports": {"http": 18500}, "client_addr": "10.0.0.5 ::1"}, ["http://10.0.0.5:18500", "http://[::1]:18500"]),
        ({"extra_config": {"ports": {"http": -1, "https": 8501}}}, ["https://127.0.0.1:8501"]),
        ({"addresses": {"http": "unix:///consul/data/http.sock"}, "client_addr": "10.0.0.5"}, ["unix:///consul/data/http.sock"]),
        ({"addresses": {"https": "10.0.0.6"}, "ports": {"https": 8501}, "client_addr": "10.0.0.5"}, ["http://10.0.0.5:8500", "https://10.0.0.6:8501"]),
        ({"client_addr": '{{ GetInterfaceIP "eth0" }} 127.0.0.1'}, ['http://{{ GetInterfaceIP "eth0" }}:8500', "http://127.0.0.1:8500"]),
        ({"network": "consul", "ipv4_address": "172.30.0.11"}, ["http://0.0.0.0:8500"]),
    ],
)
def test_where_readiness_is_asked(tmp_path: pathlib.Path, options: Json, where: list[str]) -> None:
    assert [str(listener) for listener in node(tmp_path, **options)._listeners()] == where


def test_an_agent_that_listens_elsewhere_only_is_ready(tmp_path: pathlib.Path) -> None:
    with Agent(host="127.0.0.9", answers={"/v1/agent/self": (200, {}), "/v1/status/leader": (200, "10.0.0.1:8300")}) as agent:
        port = int(agent.url.rpartition(":")[2])
        live: Json = {"State": {"Pid": os.getpid()}}
        elsewhere = node(tmp_path, ports={"http": port}, addresses={"http": "127.0.0.9"})
        assert elsewhere._why_not_ready(live) is None
        assert elsewhere._is_member(live)
        assert node(tmp_path, ports={"http": port}, client_addr="127.0.0.8 127.0.0.9")._why_not_ready(live) is None
        assert node(tmp_path, ports={"http": port}, client_addr='{{ GetInterfaceIP "lo" }}')._why_not_ready(live) is None
        reason = node(tmp_path, ports={"http": port})._why_not_ready(live)
    assert reason is not None and reason.startswith(f"its API at http://127.0.0.1:{port} does not answer (")


def test_an_agent_with_a_unix_socket_is_ready(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=answer_once, args=(listening,), daemon=True).start()
        with_socket = node(tmp_path, addresses={"http": f"unix://{path}"})
        assert with_socket._why_not_ready({"State": {"Pid": os.getpid()}}) is None
        assert with_socket._why_not_ready({"State": {"Pid": 0}}) == "it has no address yet"


def answer_once(listening: socket.socket) -> None:
    connection, _address = listening.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("runs", "wanted", "refused"),
    [
        ((1, 11, 4), (1, 10, 12), r"runs Consul 1\.11\.4, and the image has 1\.10\.12, which cannot read its data"),
        ((1, 11, 4), (1, 11, 1), None),
        ((1, 8, 7), (1, 10, 12), None),
        ((1, 8, 7), (1, 22, 7), r"has 1\.22\.7: .* The way is 1\.10\.12 - 1\.12\.9 - 1\.14\.11 - 1\.16\.6 - 1\.18\.2 - 1\.20\.6 - 1\.22\.7\. Name"),
        ((1, 20, 6), (2, 0, 4), r"The way is 1\.22\.7 - 2\.0\.4\."),
        ((1, 21, 0), (2, 0, 4), None),
        ((1, 22, 7), (2, 1, 0), None),
        ((1, 22, 7), (3, 0, 0), r"The way is 2\.0\.4 - 3\.0\.0\."),
        ((2, 0, 4), (1, 22, 7), "which cannot read its data"),
        ((1, 21, 0), (1, 22, 4), r"would run Consul 1\.22\.4, and it ends every call after 30 s"),
    ],
)
def test_a_server_goes_to_a_release_that_reads_its_data(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, runs: versions.Version, wanted: versions.Version, refused: str | None
) -> None:
    server = node(tmp_path, server=True)
    monkeypatch.setattr(server.engine, "image", lambda name: {"Id": name})
    monkeypatch.setattr(consul_node.consul_image, "version_of", lambda engine, image: runs)
    plan = Plan((Difference("image", "sha256:old", "sha256:new", "recreate"),))
    if refused:
        with pytest.raises(ConfigError, match=refused):
            server._judge_release(plan, wanted)
    else:
        server._judge_release(plan, wanted)


def test_a_release_that_nobody_should_go_to_is_refused_on_clients_and_new_nodes_too(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"would run Consul 1\.13\.1"):
        node(tmp_path)._judge_release(Plan((Difference("container", None, "started", "create"),)), (1, 13, 1))
    node(tmp_path)._judge_release(Plan((Difference("config.log_level", "info", "warn", "reload"),)), (1, 13, 1))


@pytest.mark.parametrize(
    ("options", "version", "written"),
    [
        ({"server": True}, (1, 15, 2), None),
        ({"server": True}, (1, 15, 3), "8760h"),
        ({"server": True, "server_rejoin_age_max": "24h"}, (2, 0, 4), "24h"),
        ({"server": True, "server_rejoin_age_max": "24h"}, (1, 8, 7), None),
        ({}, (2, 0, 4), None),
    ],
)
def test_how_long_a_server_may_have_been_off(tmp_path: pathlib.Path, options: Json, version: versions.Version, written: str | None) -> None:
    one = node(tmp_path, **options)
    assert one._of_release(one._consul_options(), version)["server_rejoin_age_max"] == written


@pytest.mark.parametrize(
    ("options", "version", "ports"),
    [
        ({"server": True}, (1, 13, 9), {}),
        ({"server": True, "ports": {"http": 8600}}, (1, 14, 11), {"http": 8600, "grpc_tls": -1}),
        ({"server": True, "ports": {"grpc_tls": 8503}}, (2, 0, 4), {"grpc_tls": 8503}),
        ({}, (2, 0, 4), None),
    ],
)
def test_a_server_opens_no_port_that_nobody_asked_for(tmp_path: pathlib.Path, options: Json, version: versions.Version, ports: Json | None) -> None:
    one = node(tmp_path, **options)
    assert one._of_release(one._consul_options(), version).get("ports") == ports


@pytest.mark.parametrize(
    "words",
    [
        "refusing to rejoin cluster because server has been offline for more than the configured server_rejoin_age_max (168h0m0s) - "
        "consider wiping your data dir",
        # As issue 19720 of Consul's repository quotes it, of 1.15.4.
        "error reading server metadata: unexpected end of JSON input",
    ],
)
def test_a_server_that_was_off_for_long_gets_better_advice_than_to_lose_its_data(tmp_path: pathlib.Path, words: str) -> None:
    (tmp_path / "data").mkdir()
    assert f"Keep its data. Remove the file {tmp_path}/data/server_metadata.json and run again" in node(tmp_path, server=True)._advice(words)
    assert node(tmp_path, server=True)._advice("bind: address already in use") == ""


@pytest.mark.parametrize("restarting", [True, False])
def test_an_agent_that_ends_again_and_again_is_told_of(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, restarting: bool) -> None:
    server = node(tmp_path, server=True)
    monkeypatch.setattr(server.engine, "container", lambda name: {"State": {"Running": True, "Restarting": restarting}})
    monkeypatch.setattr(server.engine, "logs", lambda name: "offline for more than the configured server_rejoin_age_max")
    monkeypatch.setattr(server.engine, "volume", lambda name: None)
    told = server._restless()
    assert len(told) == restarting
    assert not told or told[0].startswith("The container node1 ends again and again. Its last log lines:\noffline for more")
    assert not told or "Keep its data." in told[0]
