# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two nodes of an inventory must not share."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.node_conflicts import node_conflicts

ONE: dict[str, t.Any] = {"consul_agent_advertise_addr": "10.0.0.1", "consul_agent_published_ports": ["127.0.0.1:8500:8500/tcp"], "ansible_connection": "local"}
TWO: dict[str, t.Any] = {"consul_agent_advertise_addr": "10.0.0.2", "consul_agent_published_ports": ["127.0.0.1:8500:8500/udp"], "ansible_connection": "local"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"consul_agent_node_name": "a"}, "a and b have the same node name: a."),
        ({"consul_agent_advertise_addr": "10.0.0.1"}, "a and b have the same address: 10.0.0.1."),
        ({"consul_agent_published_ports": ["127.0.0.1:8500:9500"]}, "a and b have the same port: 127.0.0.1:8500/tcp on this machine."),
    ],
)
def test_each_clash_is_a_sentence(change: dict[str, t.Any], words: str) -> None:
    assert node_conflicts(["a", "b"], {"a": ONE, "b": TWO}) == []
    (found,) = node_conflicts(["a", "b"], {"a": ONE, "b": {**TWO, **change}})
    assert found.startswith(words)


def test_the_same_port_on_two_machines_is_none() -> None:
    ports = {"consul_agent_published_ports": ["8500:8500"]}
    assert node_conflicts(["a", "b"], {"a": {**ports, "ansible_host": "10.0.0.1"}, "b": {**ports, "ansible_host": "10.0.0.2"}}) == []


def test_several_nodes_that_bootstrap_would_be_several_clusters() -> None:
    def bootstrapping(*hosts: str) -> list[str]:
        return node_conflicts(["a", "b", "c"], {host: {"consul_agent_node": {"name": host, "address": "", "bootstrap": host in hosts}} for host in "abc"})

    assert bootstrapping("a") == []
    (found,) = bootstrapping("a", "c")
    assert found.startswith("consul_agent_bootstrap makes clusters of their own of a, c.")


def kept(folder: object, datacenter: str = "dc1") -> dict[str, t.Any]:
    node = {"name": "x", "address": "", "keeps": ["agent"], "secrets_folder": str(folder), "datacenter": datacenter}
    return {"consul_agent_node": node}


def named(hosts: dict[str, dict[str, t.Any]]) -> list[str]:
    for host, variables in hosts.items():
        variables["consul_agent_node"]["name"] = host
    return node_conflicts(list(hosts), hosts)


def test_names_of_hosts_that_only_differ_in_their_domain_clash() -> None:
    (found,) = node_conflicts(["web.a.example", "web.b.example"], {"web.a.example": {}, "web.b.example": {}})
    assert found == "web.a.example and web.b.example have the same node name: web. Give each node its own."


def test_one_datacenter_has_one_folder_of_secrets(tmp_path: pathlib.Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert named({"a": kept(tmp_path), "b": kept(link), "c": kept(tmp_path / "other", "dc2"), "d": kept("")}) == []
    (found,) = named({"a": kept(tmp_path), "b": kept(tmp_path / "other")})
    assert found.startswith(f"a keeps the secrets of the datacenter dc1 in {tmp_path}, and b in {tmp_path / 'other'}.")


def test_no_secrets_are_kept_in_an_installed_collection(tmp_path: pathlib.Path) -> None:
    collection = tmp_path / "ansible_collections" / "discovery" / "consul"
    collection.mkdir(parents=True)
    assert named({"a": kept(collection / "secrets")}) == []  # a work tree
    (collection / "MANIFEST.json").touch()
    (found,) = named({"a": kept(collection / "playbooks" / "secrets")})
    assert "inside the installed collection discovery.consul" in found
