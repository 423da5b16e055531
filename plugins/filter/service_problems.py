# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: service_problems
short_description: What is wrong with the services that an inventory declares for a node
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Judges services as the module M(discovery.consul.consul_agent) does, before any host is asked for anything.
positional: scripts
options:
  _input:
    description: Services, as O(discovery.consul.consul_agent#module:services) takes them.
    type: list
    elements: dict
    required: true
  scripts:
    description: Whether the agent runs checks that are programs.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ [{'name': 'db', 'port': '5432'}] | discovery.consul.service_problems }}"
"""

RETURN = r"""
_value:
  description: A sentence for each thing that is wrong.
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.discovery.consul.plugins.module_utils._consul import declared, prepared_query
from ansible_collections.discovery.consul.plugins.plugin_utils.values import plain

Json = t.Dict[str, t.Any]


def service_problems(services: list[Json], scripts: bool = False) -> list[str]:
    """One sentence for each thing that is wrong."""
    return list(declared.problems(plain(services), scripts))


def query_problems(queries: list[Json]) -> list[str]:
    """One sentence for each thing that is wrong with prepared queries. The file of its name tells more."""
    judged = ArgumentSpecValidator({"queries": prepared_query.QUERY_ARGUMENTS["queries"]}).validate({"queries": plain(queries)})
    if judged.error_messages:
        return [f"consul_agent_prepared_queries: {message}." for message in judged.error_messages]
    return list(prepared_query.problems(judged.validated_parameters["queries"]))


class FilterModule:
    """The filters for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"service_problems": service_problems, "query_problems": query_problems}
