# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_summary
short_description: A health result as a short table for people
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Shows each node with its role, address, state and HTTP interface, the leader, the services, and how to ask for them.
positional: services, hostvars
options:
  _input:
    description: What the module M(discovery.consul.consul_cluster_health) returned.
    type: dict
    required: true
  services:
    description: What C(/v1/catalog/services) answered.
    type: dict
    required: true
  hostvars:
    description: The variable C(hostvars), for the addresses of the nodes' DNS interfaces.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the cluster
  ansible.builtin.debug:
    msg: "{{ health | discovery.consul.cluster_summary(services.json, hostvars) }}"
"""

RETURN = r"""
_value:
  description: Lines of text.
  type: list
  elements: str
"""

import typing as t

Json = t.Dict[str, t.Any]

HEADER = ("node", "role", "address", "state", "HTTP")
OWN_SERVICE = "consul"


def cluster_summary(health: Json, services: Json, hostvars: t.Mapping[str, t.Any]) -> list[str]:
    """The table and what is worth knowing below it."""
    nodes = health.get("nodes") or []
    leader = (health.get("leader") or {}).get("name")
    rows = [HEADER, *((n["name"], n["role"], n.get("address") or "", n.get("state") or "", n.get("http") or "") for n in nodes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    registered = sorted(name for name in services if name != OWN_SERVICE)
    lines += [f"verdict: {health['verdict']}", f"leader: {leader}", f"services: {', '.join(registered) or 'none yet'}"]
    web = next((n["http"] for n in nodes if n.get("http")), None)
    if web:
        name = registered[0] if registered else OWN_SERVICE
        lines += [f"web page: {web}/ui/", f"ask by HTTP: curl {web}/v1/catalog/service/{name}"]
        lines += [f"ask by DNS: dig @{address} -p {port} {name}.service.consul" for address, port in _dns(hostvars, nodes)]
    return lines


def _dns(hostvars: t.Mapping[str, t.Any], nodes: list[Json]) -> list[tuple[str, str]]:
    for node in nodes:
        endpoint = hostvars.get(node["name"], {}).get("consul_agent_dns_endpoint") if node["name"] in hostvars else None
        if endpoint:
            address, _colon, port = str(endpoint).rpartition(":")
            return [(address, port)]
    return []


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cluster_summary": cluster_summary}
