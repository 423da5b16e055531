# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_nodes
short_description: The nodes of Consul as hosts
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Reads hosts from Consul's catalog. Its files end in C(.consul.yml) or C(.consul.yaml).
  - Nothing needs to be installed on the controller for it.
  - Each host has the variables C(consul_node), C(consul_datacenter), C(consul_meta), C(consul_services), and C(ansible_host) with the node's address.
    C(consul_services) has a list of instances for each service that O(services) asks for, each with C(id), C(address), C(port), C(tags), C(meta) and C(status).
  - The questions to Consul grow with O(datacenters) and O(services), never with nodes.
  - What is read is data of whoever registers it. It is never a template, and a name or an address that is none is left out with a warning.
notes:
  - Ansible only warns of an inventory that fails, and goes on without its hosts. Set C(any_unparsed_is_failed = true) in the section C([inventory])
    of C(ansible.cfg).
  - The token needs C(node:read) on all nodes, C(service:read) on the services, and C(agent:read) on the asked agent while O(compare_members) is true.
extends_documentation_fragment:
  - discovery.consul.reader
  - discovery.consul.reader.plugin
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [discovery.consul.consul_nodes]
  filter:
    description: Only nodes for which this expression in Consul's language for filters holds, like C(Meta.zone != "b").
    type: str
    default: ""
  node_meta:
    description: Only nodes with all of this metadata.
    type: dict
    default: {}
  services:
    description:
      - Only nodes with an instance of one of these services, with one question for each. No node is left out for a service when it is empty.
      - V(*) asks for all services of the catalog, and leaves out no node.
    type: list
    elements: str
    default: []
  passing_only:
    description: Only nodes whose own checks are passing, and of their instances only those that are passing.
    type: bool
    default: false
  hostname:
    description: What is the name of a host.
    type: str
    choices: [name, address]
    default: name
  compare_members:
    description:
      - Fails when the catalog shows fewer nodes of the agent's datacenter than it has members, because Consul leaves out silently what a token may not read.
      - Other datacenters are not compared.
    type: bool
    default: true
  add_legacy_groups:
    description:
      - Adds the groups of the script C(consul_io.py) - each datacenter, C(SERVICE), C(SERVICE_TAG), C(SERVICE_available) and C(SERVICE_unavailable).
        An instance without a check counts as available.
      - All services are asked for unless O(services) names some.
    type: bool
    default: false
"""

EXAMPLES = r"""
---
# web.consul.yml: hosts with an instance of web that is passing, by zone
plugin: discovery.consul.consul_nodes
url: https://10.0.0.11:8501
ca_path: /etc/discovery.consul/server1/ca.pem
token_file: ~/.consul-token
services: [web]
passing_only: true
node_meta:
  environment: production
compose:
  web_port: consul_services.web[0].port
groups:
  blue: "'blue' in consul_services.web | map(attribute='tags') | flatten"
keyed_groups:
  - key: consul_meta.zone
    prefix: zone
strict: true
"""

import hashlib
import json
import re
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import Reader
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError
from ansible_collections.discovery.consul.plugins.plugin_utils.catalog import ALL, PASSING, Question, nodes

Json = t.Dict[str, t.Any]

# Neither an option of ssh, nor a path, nor a pattern of hosts.
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """The plugin for Ansible."""

    NAME = "discovery.consul.consul_nodes"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith((".consul.yml", ".consul.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        hosts: dict[str, Json] = {}
        for node in self._nodes(path, cache):
            host = node["address"] if self.get_option("hostname") == "address" else node["name"]
            if not HOST.fullmatch(host) or not HOST.fullmatch(node["address"]) or host in C.LOCALHOST:
                self.display.warning(f"The node {node['name']!r} with the address {node['address']!r} is left out: {host!r} cannot be a host of an inventory.")
            elif host in hosts:
                first, second = ({**one, "dc": one["datacenter"]} for one in (hosts[host], node))
                raise AnsibleParserError(
                    f"Consul has two nodes {host}: {first['name']} in {first['dc']} and {second['name']} in {second['dc']}."
                    " Give each datacenter an inventory file of its own, or choose the other `hostname`."
                )
            else:
                hosts[host] = node
        for host, node in hosts.items():
            self._add(host, node)

    def _nodes(self, path: str, cache: bool) -> list[Json]:
        question = self._question()
        # What is asked for is part of the key, so that a file that was changed is not answered from before.
        asked = json.dumps([self.get_option("url"), vars(question)], default=str, sort_keys=True)
        key = f"{self.get_cache_key(path)}_{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
        kept = self.get_option("cache")
        if kept and cache and key in self._cache:
            return t.cast("list[Json]", self._cache[key])
        try:
            answer = nodes(Reader.of(self.get_options()), question)
        except OperatorError as exc:
            raise AnsibleParserError(str(exc)) from None
        for service in answer.unseen:
            self.display.warning(f"Consul shows no instance of `{service}`: none is registered, or the token lacks service:read on it.")
        if kept:
            self._cache[key] = answer.found
        return answer.found

    def _question(self) -> Question:
        given = self.get_option
        services = given("services") or ([ALL] if given("add_legacy_groups") else [])
        meta = {str(key): str(value) for key, value in given("node_meta").items()}
        return Question(given("datacenters"), given("filter"), meta, services, given("passing_only"), given("compare_members"))

    def _add(self, host: str, node: Json) -> None:
        self.inventory.add_host(host)
        variables = wrap_var(
            {
                "ansible_host": node["address"],
                "consul_node": node["name"],
                "consul_datacenter": node["datacenter"],
                "consul_meta": node["meta"],
                "consul_services": node["services"],
            }
        )
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)
        if self.get_option("add_legacy_groups"):
            for group in legacy_groups(node):
                self.inventory.add_child(self.inventory.add_group(group), host)


def legacy_groups(node: Json) -> list[str]:
    """The groups that `consul_io.py` put a node into, with its way to replace characters."""
    groups = [node["datacenter"]]
    for service, instances in node["services"].items():
        groups.append(service)
        groups += [f"{service}_{tag}" for one in instances for tag in one["tags"]]
        groups += [f"{service}_{'available' if one['status'] == PASSING else 'unavailable'}" for one in instances]
    return sorted({re.sub(r"[^A-Za-z0-9.-]", "_", group) for group in groups if group})
