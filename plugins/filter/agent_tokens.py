# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: agent_tokens
short_description: The tokens of an inventory's nodes, as consul_acl takes them
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Makes the list for the option O(discovery.consul.consul_acl#module:tokens), with a token for each node, that may write that node.
  - A node for which C(consul_agent_services) declares services has a second one, that may write these services and no others. It is declared as
    absent for a node without such services.
  - A node below level C(full) needs no token, and has one only where C(consul_agent_acl_agent_token) is given. A node of another datacenter
    is left out.
positional: hostvars, datacenter
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
  datacenter:
    description: Name of the datacenter.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Make the tokens of the servers
  discovery.consul.consul_acl:
    owner: dc1.agents
    tokens: "{{ lookup('discovery.consul.token_secrets', groups['consul_servers'] | discovery.consul.agent_tokens(hostvars, 'dc1'), folder='secrets/dc1') }}"
"""

RETURN = r"""
_value:
  description:
    - Dictionaries, each with its owner. One has a C(secret) where C(consul_agent_acl_agent_token) or C(consul_agent_acl_services_token) is given, and
      an empty one when it is absent. Otherwise the secret is kept in the folder C(consul_agent_secrets), where the lookup
      P(discovery.consul.token_secrets#lookup) finds it.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.discovery.consul.plugins.plugin_utils import nodes

Json = t.Dict[str, t.Any]


def agent_tokens(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any], datacenter: str) -> list[Json]:
    """The declaration of each node's tokens."""
    return [one for host in hosts for one in _declared(host, hostvars[host], datacenter)]


def _declared(host: str, variables: t.Mapping[str, t.Any], datacenter: str) -> t.Iterator[Json]:
    node = nodes.find(host, variables, server=False)
    if (node.get("datacenter") or variables.get("consul_agent_datacenter") or datacenter) != datacenter:
        return
    full, owner = (variables.get("consul_agent_security") or "full") == "full", f"{datacenter}.agents"

    def made(kind: str) -> Json | None:
        """The secret where it is given; None where no token is made."""
        secret = variables.get(f"consul_agent_acl_{kind}_token") or ""
        # A host that takes part in the play has said what it keeps. One that keeps no token was given it where hostvars does not show it.
        kept = kind in node["keeps"] if "keeps" in node else full
        return {"secret": secret} if secret else {} if kept else None

    agent = made("agent")
    if agent is not None:
        yield {
            "name": f"agent-{node['name']}",
            "description": f"The agent {node['name']}",
            "node_identities": [{"node_name": node["name"], "datacenter": datacenter}],
            "owner": owner,
            **agent,
        }
    services = node["services"] if "services" in node else _without_token(variables.get("consul_agent_services") or [])
    token = made("services") if services else None
    if token is not None:
        yield {
            "name": f"services-{node['name']}",
            "description": f"The services that the inventory declares for {node['name']}",
            "service_identities": [{"service_name": name, "datacenters": [datacenter]} for name in services],
            "owner": owner,
            **token,
        }
    elif agent is not None and not services:
        yield {"name": f"services-{node['name']}", "owner": owner, "state": "absent", "secret": ""}


def _without_token(services: t.Iterable[Json]) -> list[str]:
    """The names of services that bring no token of their own."""
    return sorted({str(one["name"]) for one in services if one.get("name") and not one.get("token")})


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"agent_tokens": agent_tokens}
