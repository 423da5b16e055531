# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: node_conflicts
short_description: What the nodes of an inventory claim twice
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Finds node names and advertise addresses that two nodes share, and ports that two nodes publish on one Docker host.
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
- name: Refuse an inventory that cannot work
  ansible.builtin.assert:
    that: (groups['consul_servers'] | discovery.consul.node_conflicts(hostvars)) == []
"""

RETURN = r"""
_value:
  description: One sentence for each thing that is claimed twice.
  type: list
  elements: str
"""

import typing as t

Claims = t.Iterator[t.Tuple[str, str]]


def node_conflicts(hosts: list[str], hostvars: t.Mapping[str, t.Any]) -> list[str]:
    """One sentence for each thing that two of `hosts` claim."""
    owners: dict[tuple[str, str], str] = {}
    found = []
    for host in hosts:
        for claim in _claims(host, hostvars[host]):
            owner = owners.setdefault(claim, host)
            if owner != host:
                found.append(f"{owner} and {host} have the same {claim[0]}: {claim[1]}. Give each node its own.")
    return found


def _claims(host: str, variables: t.Mapping[str, t.Any]) -> Claims:
    yield "node name", str(variables.get("consul_agent_node_name", host))
    address = variables.get("consul_agent_advertise_addr") or variables.get("consul_agent_ipv4_address")
    if address:
        yield "address", str(address)
    engine = "this machine" if variables.get("ansible_connection") == "local" else variables.get("ansible_host", host)
    for port in variables.get("consul_agent_published_ports") or []:
        published, _slash, protocol = str(port).partition("/")
        yield "port", f"{published.rpartition(':')[0]}/{protocol or 'tcp'} on {engine}"


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"node_conflicts": node_conflicts}
