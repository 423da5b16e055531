# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node's options mean for its container and its host, before anything is touched."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import node as consul_node
from ansible_collections.discovery.consul.plugins.module_utils._consul import versions
from ansible_collections.discovery.consul.plugins.module_utils._consul.config import ConfigError
from ansible_collections.discovery.consul.plugins.module_utils._consul.node import Node
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import Difference, Plan
from ansible_collections.discovery.consul.plugins.modules import consul_agent

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
        ({"config_files": ["/nowhere.json"]}, "config_files names /nowhere.json, which is not on the Docker host"),
        ({"enable_syslog": True}, "enable_syslog needs /dev/none"),
    ],
)
def test_what_the_host_cannot_give_is_a_sentence(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, options: Json, words: str) -> None:
    monkeypatch.setattr(consul_node, "SYSLOG_SOCKET", "/dev/none")
    with pytest.raises(ConfigError, match=r"^Node node1: ") as error:
        node(tmp_path, **options).converge(check_mode=False)
    assert words in str(error.value)
    assert not (tmp_path / "etc").exists()


def test_a_data_directory_of_somebody_else_is_a_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=rf"is not writable for the agent's user 4242:4242\. Run: chown -R 4242:4242 {tmp_path}"):
        node(tmp_path, user="4242:4242").converge(check_mode=False)


def test_good_options_get_as_far_as_the_engine(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EngineError, match="does not answer"):
        node(tmp_path, bind_addr="127.0.0.1").converge(check_mode=False)


@pytest.mark.parametrize(
    ("options", "api"),
    [({}, ("http", 8500)), ({"ports": {"http": 18500}}, ("http", 18500)), ({"extra_config": {"ports": {"http": -1, "https": 8501}}}, ("https", 8501))],
)
def test_where_readiness_is_asked(tmp_path: pathlib.Path, options: Json, api: tuple[str, int]) -> None:
    assert node(tmp_path, **options)._api() == api


@pytest.mark.parametrize(
    ("runs", "wanted", "refused"),
    [
        ((1, 11, 4), (1, 10, 12), r"runs Consul 1\.11\.4, and the image has 1\.10\.12, which cannot read its data"),
        ((1, 11, 4), (1, 11, 1), None),
        ((1, 8, 7), (1, 10, 12), None),
        ((1, 8, 7), (1, 22, 6), r"runs Consul 1\.8\.7, and the image has 1\.22\.6: .* Name an image of 1\.10 first"),
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
