# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: nodes
short_description: Where the nodes of an inventory are found
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Finds name, addresses, container and folder of each node. A host of the play is known by the fact C(consul_agent_node), which the role
    consul_agent sets. Any other host is known by the variables of the inventory, and no facts of it are needed.
positional: hostvars, server
options:
  _input:
    description: Names of the inventory hosts that are nodes.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable C(hostvars). A dictionary of options by host does as well.
    type: dict
    required: true
  server:
    description: Whether these nodes are servers, which listen for other hosts where clients do not.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ask the first server for the leader
  ansible.builtin.uri:
    url: "{{ server.http }}/v1/status/leader"
    ca_path: "{{ server.ca if server.http is match('https:') else omit }}"
  delegate_to: "{{ server.host }}"
  vars:
    server: "{{ (groups['consul_servers'] | discovery.consul.nodes(hostvars, server=true)) | first }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary for each host. C(host) is its name in the inventory, and C(name) that of the node; C(address) is where other nodes reach it,
      and empty when only the host itself knows that; C(http) is the URL of its API and C(dns) the address and port of its DNS interface;
      C(container_name), C(config_dir) and C(ca), the file with the authorities to trust, are those on its Docker host; C(addresses) and
      C(client_addr) are what it listens on.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.discovery.consul.plugins.plugin_utils import nodes as plugin_utils


def nodes(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any], server: bool = False) -> list[dict[str, t.Any]]:
    """A dictionary for each of `hosts`."""
    return [plugin_utils.find(host, hostvars[host], server) for host in hosts]


class FilterModule:
    """The filters for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"nodes": nodes, "node_name": plugin_utils.node_name}
