# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a node is found, by its options alone."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.plugin_utils import nodes

ON_HOST = {"advertise_addr": "10.0.0.1"}
IN_NETWORK = {"network": "consul", "ipv4_address": "172.30.0.11"}


def derived(server: bool, options: dict[str, t.Any]) -> dict[str, t.Any]:
    return nodes.derive("db1.example.org", {f"consul_agent_{name}": value for name, value in options.items()}, server)


@pytest.mark.parametrize(
    ("host", "name"),
    [("server1", "server1"), ("server1.example.org", "server1"), ("10.0.0.11", "10-0-0-11"), ("2001:db8::1", "2001-db8-1")],
)
def test_a_node_is_named_after_its_host(host: str, name: str) -> None:
    assert nodes.node_name(host) == name


@pytest.mark.parametrize(
    ("server", "options", "url"),
    [
        (True, ON_HOST, "https://10.0.0.1:8501"),
        (False, ON_HOST, "http://127.0.0.1:8500"),
        (True, {**ON_HOST, "security": "none"}, "http://10.0.0.1:8500"),
        (True, {**ON_HOST, "security": "gossip"}, "http://10.0.0.1:8500"),
        (True, {**ON_HOST, "secure_step": 2}, "http://10.0.0.1:8500"),
        (True, {}, "https://db1.example.org:8501"),
        (True, {**ON_HOST, "client_addr": "127.0.0.1"}, "http://127.0.0.1:8500"),
        (True, {**ON_HOST, "client_addr": "0.0.0.0"}, "https://10.0.0.1:8501"),
        (True, {**ON_HOST, "addresses": {"https": "10.9.9.9"}}, "https://10.9.9.9:8501"),
        (True, {**ON_HOST, "ports": {"https": 9501}}, "https://10.0.0.1:9501"),
        (False, {**ON_HOST, "extra_config": {"ports": {"http": 18500}}}, "http://127.0.0.1:18500"),
        (False, {**ON_HOST, "ports": {"http": -1, "https": 8501}}, "https://127.0.0.1:8501"),
        (True, {"advertise_addr": "2001:db8::1"}, "https://[2001:db8::1]:8501"),
        (True, {**ON_HOST, "http_url": "https://consul.example.org"}, "https://consul.example.org"),
        (True, {**IN_NETWORK, "published_ports": ["127.0.0.1:9500:8500/tcp", "127.0.0.1:9600:8600/udp"]}, "http://127.0.0.1:9500"),
        (True, {**IN_NETWORK, "published_ports": ["0.0.0.0:9501:8501"]}, "https://127.0.0.1:9501"),
        (True, {**IN_NETWORK, "published_ports": ["9500:8500"]}, "http://127.0.0.1:9500"),
        (True, IN_NETWORK, "http://172.30.0.11:8500"),
    ],
)
def test_the_url_follows_from_network_addresses_and_ports(server: bool, options: dict[str, t.Any], url: str) -> None:
    found = derived(server, options)
    if options == {}:
        # Nothing says what the address is: the name that Ansible uses may do, and nothing listens there for now.
        assert (found["http"], found["address"]) == ("http://127.0.0.1:8500", "")
    else:
        assert found["http"] == url


@pytest.mark.parametrize(
    ("server", "options", "addresses", "client_addr"),
    [
        (True, ON_HOST, {"https": "127.0.0.1 10.0.0.1"}, None),
        (True, {**ON_HOST, "security": "none"}, {}, "127.0.0.1 10.0.0.1"),
        (False, ON_HOST, {}, None),
        (True, IN_NETWORK, {}, None),
        (True, {**ON_HOST, "addresses": {"https": "127.0.0.1"}}, {"https": "127.0.0.1"}, None),
        (True, {**ON_HOST, "client_addr": "0.0.0.0"}, {}, "0.0.0.0"),
    ],
)
def test_a_server_on_a_hosts_network_listens_for_the_other_hosts(server: bool, options: dict[str, t.Any], addresses: object, client_addr: object) -> None:
    found = derived(server, options)
    assert (found["addresses"], found["client_addr"]) == (addresses, client_addr)


def test_container_and_folder_decide_where_the_authority_is() -> None:
    assert derived(True, {})["ca"] == "/etc/discovery.consul/db1/ca.pem"
    assert derived(True, {"container_name": "consul"})["ca"] == "/etc/discovery.consul/consul/ca.pem"
    assert derived(True, {"container_name": "consul", "config_dir": "/srv/consul"})["ca"] == "/srv/consul/ca.pem"


def test_what_the_role_found_out_counts_more_than_the_inventory() -> None:
    fact = {"name": "x", "http": "http://x"}
    assert nodes.find("a", {"consul_agent_node": fact, "consul_agent_node_name": "y"}, True) == fact
    assert nodes.find("a", {"consul_agent_node_name": "y"}, True)["name"] == "y"
