# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: acl_problems
short_description: What is wrong with the rights that an inventory declares
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Judges policies, roles and tokens as the module M(discovery.consul.consul_acl) does, before any host is asked for anything.
  - Names that the collection uses itself are refused.
positional: roles, tokens
options:
  _input:
    description: Policies, as O(discovery.consul.consul_acl#module:policies) takes them, without an owner.
    type: list
    elements: dict
    required: true
  roles:
    description: Roles, as O(discovery.consul.consul_acl#module:roles) takes them, without an owner.
    type: list
    elements: dict
    required: true
  tokens:
    description: Tokens, as O(discovery.consul.consul_acl#module:tokens) takes them, without an owner. A secret may be missing.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ [] | discovery.consul.acl_problems([], [{'name': 'web', 'secret': 'not a UUID'}]) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each thing that is wrong.
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_data import PLURAL, AclError, declared
from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_options import ACL_ARGUMENTS
from ansible_collections.discovery.consul.plugins.plugin_utils.values import plain

Json = t.Dict[str, t.Any]

OWN_POLICIES = "discovery-"
OWN_TOKENS = ("management", "dns", "health", "operator", "registrator")
OWN_NODES = ("agent-", "services-")


def acl_problems(policies: list[Json], roles: list[Json], tokens: list[Json]) -> list[str]:
    """One sentence for each thing that is wrong."""
    options = plain({"owner": "inventory", "policies": policies, "roles": roles, "tokens": tokens})
    judged = ArgumentSpecValidator(ACL_ARGUMENTS).validate(options)
    if judged.error_messages:
        return [f"consul_agent_acl_*: {message}." for message in judged.error_messages]
    found = judged.validated_parameters
    wrong = [
        f"The policy {one['name']} cannot be declared, since {OWN_POLICIES} begins the names of the collection's own policies. Give yours another name."
        for one in found["policies"]
        if one["name"].startswith(OWN_POLICIES)
    ]
    wrong += [
        f"The token {one['name']} cannot be declared, since the collection has one of that name itself. Give yours another name."
        for one in found["tokens"]
        if one["name"] in OWN_TOKENS or one["name"].startswith(OWN_NODES)
    ]
    wrong += [
        f"The {kind} {one['name']} names an owner. What the inventory declares belongs to the inventory, so leave the owner out."
        for kind, plural in PLURAL.items()
        for one in found[plural]
        if one["owner"]
    ]
    try:
        declared(found, secrets_needed=False)
    except AclError as exc:
        wrong.append(str(exc))
    return wrong


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"acl_problems": acl_problems}
