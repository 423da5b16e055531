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
positional: expected, token_file, stand_in
options:
  _input:
    description: What the module M(discovery.consul.consul_cluster_health) returned.
    type: dict
    required: true
  expected:
    description: The nodes of the inventory, as the filter P(discovery.consul.expected_nodes#filter) gives them.
    type: list
    elements: dict
    required: true
  token_file:
    description: File with the ACL token to ask with, or an empty text where none is needed.
    type: str
    default: ""
  stand_in:
    description: The image that is used instead of the wanted one, or an empty text.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the cluster
  ansible.builtin.debug:
    msg: "{{ health | discovery.consul.cluster_summary(groups['consul_servers'] | discovery.consul.expected_nodes(hostvars)) }}"
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
MOST_CHECKS = 5


def cluster_summary(health: Json, expected: list[Json], token_file: str = "", stand_in: str = "") -> list[str]:
    """The table and what is worth knowing below it."""
    interfaces = {node["name"]: node for node in expected}
    nodes = health.get("nodes") or []
    leader = (health.get("leader") or {}).get("name")
    rows = [HEADER, *((n["name"], n["role"], n.get("address") or "", n.get("state") or "", interfaces.get(n["name"], {}).get("http", "")) for n in nodes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    registered = sorted(name for name in health.get("services") or [] if name != OWN_SERVICE)
    lines += [_line("verdict", health["verdict"]), _line("leader", leader), _line("services", ", ".join(registered) or "none yet")]
    critical = health.get("critical_checks") or []
    lines += [_line("critical", text) for text in critical[:MOST_CHECKS]]
    lines += [_line("critical", f"and {len(critical) - MOST_CHECKS} more checks")] if len(critical) > MOST_CHECKS else []
    name = registered[0] if registered else OWN_SERVICE
    web = next((node["http"] for node in expected if node.get("http")), None)
    if web:
        header = f'-H "X-Consul-Token: $(cat {token_file})" ' if token_file else ""
        lines += [_line("web page", f"{web}/ui/"), _line("ask by HTTP", f"curl {header}{web}/v1/catalog/service/{name}")]
        lines += [_line("log in with", token_file)] if token_file else []
    dns = next((node["dns"] for node in expected if node.get("dns")), None)
    if dns:
        address, _colon, port = dns.rpartition(":")
        lines.append(_line("ask by DNS", f"dig @{address} -p {port} {name}.service.consul"))
    if stand_in:
        lines.append(_line("attention", f"{stand_in} stands in for the wanted image, which no registry gave."))
    return lines


def _line(name: str, value: t.Any) -> str:
    return f"{name:<13}{value}"


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cluster_summary": cluster_summary}
