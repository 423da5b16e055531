# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: expected_nodes
short_description: The nodes of an inventory, as consul_cluster_health expects them
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Makes the list for the options O(discovery.consul.consul_cluster_health#module:servers) and
    O(discovery.consul.consul_cluster_health#module:clients), as the filter P(discovery.consul.nodes#filter) finds the nodes.
positional: hostvars, server
options:
  _input:
    description: Names of the inventory hosts that are nodes.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
  server:
    description: Whether these nodes are servers. Servers are asked themselves, clients only where they have a C(consul_agent_http_url).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Judge the cluster of the inventory
  discovery.consul.consul_cluster_health:
    servers: "{{ groups['consul_servers'] | discovery.consul.expected_nodes(hostvars, server=true) }}"
    clients: "{{ groups['consul_clients'] | default([]) | discovery.consul.expected_nodes(hostvars) }}"
"""

RETURN = r"""
_value:
  description: A dictionary for each host, with C(name) and, where they are known, C(address), C(http) and C(dns).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.discovery.consul.plugins.plugin_utils import nodes


def expected_nodes(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any], server: bool = False) -> list[dict[str, str]]:
    """A dictionary for each of `hosts`."""
    return [_expected(hostvars[host], nodes.find(host, hostvars[host], server), server) for host in hosts]


def _expected(variables: t.Mapping[str, t.Any], node: dict[str, t.Any], server: bool) -> dict[str, str]:
    # The interface of a client is its own host's alone, unless its operator says where others reach it.
    asked = server or bool(variables.get("consul_agent_http_url"))
    found = {"address": node["address"], "http": node["http"] if asked else "", "dns": node["dns"]}
    return {"name": node["name"], **{key: value for key, value in found.items() if value}}


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"expected_nodes": expected_nodes}
