# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: node_conflicts
short_description: What does not fit among the nodes of an inventory
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Finds node names and addresses that two nodes share, ports that two nodes publish on one Docker host, several nodes that bootstrap,
    folders of secrets that differ within a datacenter, and folders of secrets that lie in an installed collection, where the next upgrade
    of it would remove them.
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
  description: One sentence for each thing that does not fit, with its remedy.
  type: list
  elements: str
"""

import os
import typing as t

from ansible_collections.discovery.consul.plugins.plugin_utils import nodes

Claims = t.Iterator[t.Tuple[str, str]]


def node_conflicts(hosts: list[str], hostvars: t.Mapping[str, t.Any]) -> list[str]:
    """One sentence for each thing that does not fit."""
    owners: dict[tuple[str, str], str] = {}
    found = []
    for host in hosts:
        for claim in _claims(host, hostvars[host]):
            owner = owners.setdefault(claim, host)
            if owner != host:
                found.append(f"{owner} and {host} have the same {claim[0]}: {claim[1]}. Give each node its own.")
    return [*found, *_bootstrap_problems(hosts, hostvars), *_folder_problems(hosts, hostvars)]


def _claims(host: str, variables: t.Mapping[str, t.Any]) -> Claims:
    node = nodes.find(host, variables, server=False)
    yield "node name", node["name"]
    if node["address"]:
        yield "address", node["address"]
    engine = "this machine" if variables.get("ansible_connection") == "local" else variables.get("ansible_host", host)
    for port in variables.get("consul_agent_published_ports") or []:
        published, _slash, protocol = str(port).partition("/")
        yield "port", f"{published.rpartition(':')[0]}/{protocol or 'tcp'} on {engine}"


def _bootstrap_problems(hosts: list[str], hostvars: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """A server that bootstraps elects itself without asking anybody, so two of them are two clusters."""
    alone = [host for host in hosts if (hostvars[host].get(nodes.FACT) or {}).get("bootstrap")]
    if len(alone) > 1:
        yield (
            f"consul_agent_bootstrap makes clusters of their own of {', '.join(alone)}. Leave it out, since the servers count each other "
            "(bootstrap_expect), or set it for one server only."
        )


def _folder_problems(hosts: list[str], hostvars: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Only hosts of the play have said which folder they use."""
    folders: dict[str, tuple[str, str]] = {}
    for host in hosts:
        node = hostvars[host].get(nodes.FACT) or {}
        folder, datacenter = node.get("secrets_folder"), str(node.get("datacenter"))
        if not folder or not node.get("keeps"):
            continue
        first, other = folders.setdefault(datacenter, (folder, host))
        if os.path.realpath(first) != os.path.realpath(folder):
            yield (
                f"{other} keeps the secrets of the datacenter {datacenter} in {first}, and {host} in {folder}. "
                "Set consul_agent_secrets to one folder for all of them."
            )
    for folder, host in folders.values():
        collection = _installed_collection(os.path.realpath(folder))
        if collection:
            yield (
                f"{host} keeps its secrets in {folder}, inside the installed collection {collection}, where the next upgrade of the collection removes "
                "them. Move the folder beside your inventory, and set consul_agent_secrets to it."
            )


def _installed_collection(folder: str) -> str:
    """The collection that the folder is in, when ansible-galaxy installed it: a work tree has no manifest."""
    parts = folder.split(os.sep)
    for end in range(len(parts), 2, -1):
        if parts[end - 3] == "ansible_collections" and os.path.isfile(os.path.join(os.sep.join(parts[:end]), "MANIFEST.json")):
            return ".".join(parts[end - 2 : end])
    return ""


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"node_conflicts": node_conflicts}
