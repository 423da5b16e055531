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
    O(discovery.consul.consul_cluster_health#module:clients) from variables of the inventory. Facts are not needed.
positional: hostvars
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
"""

EXAMPLES = r"""
- name: Judge the cluster of the inventory
  discovery.consul.consul_cluster_health:
    servers: "{{ groups['consul_servers'] | discovery.consul.expected_nodes(hostvars) }}"
    clients: "{{ groups['consul_clients'] | default([]) | discovery.consul.expected_nodes(hostvars) }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary for each host, with C(name) from C(consul_agent_node_name) or the host's name, and, where they are set,
      C(address) from C(consul_agent_advertise_addr), C(http) from C(consul_agent_http_url) and C(dns) from
      C(consul_agent_dns_endpoint).
  type: list
  elements: dict
"""

import typing as t

VARIABLES = {"address": "consul_agent_advertise_addr", "http": "consul_agent_http_url", "dns": "consul_agent_dns_endpoint"}


def expected_nodes(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    """A dictionary for each of `hosts`."""
    return [_node(host, hostvars[host]) for host in hosts]


def _node(host: str, variables: t.Mapping[str, t.Any]) -> dict[str, str]:
    found = {key: variables.get(variable) for key, variable in VARIABLES.items()}
    return {"name": str(variables.get("consul_agent_node_name") or host), **{key: str(value) for key, value in found.items() if value}}


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"expected_nodes": expected_nodes}
