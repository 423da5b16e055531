#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_prepared_query
short_description: Declare prepared queries of a Consul cluster
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Brings prepared queries to what is declared, in one call. What is as declared stays untouched.
  - A query is known by its name. Consul keeps nothing with it that could say whose it is, so only queries that are named here are ever changed or
    removed. One of the same name that somebody else made becomes what is declared.
  - Each query is answered with the rights of whoever asks. A token that another one had captured is taken away.
extends_documentation_fragment:
  - discovery.consul.api
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Shows what changes.
    support: full
  idempotent:
    description: Run twice, it changes nothing the second time.
    support: full
options:
  queries:
    description: The queries.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name. DNS answers C(NAME.query.consul). Letters, digits, dots, dashes and underscores.
        type: str
        required: true
      service:
        description: Name of the service that it finds. Needed unless O(queries[].state=absent).
        type: str
      tags:
        description: Tags that an instance must have. One that begins with C(!) is a tag that it must not have.
        type: list
        elements: str
        default: []
      near:
        description: Name of a node to which the nearest instances come first. V(_agent) is the node of the agent that is asked, V(_ip) that of the caller.
        type: str
        default: ""
      failover:
        description: Where to look when there is no healthy instance in the own datacenter.
        type: dict
        suboptions:
          nearest_n:
            description: In how many of the nearest datacenters, as the servers measure it.
            type: int
            default: 0
          datacenters:
            description: In which datacenters, in this order, after the nearest ones.
            type: list
            elements: str
            default: []
      only_passing:
        description: Whether instances with a warning are left out, too. Those that are critical always are.
        type: bool
        default: false
      node_meta:
        description: Metadata that the node of an instance must have.
        type: dict
        default: {}
      service_meta:
        description: Metadata that an instance must have.
        type: dict
        default: {}
      ttl:
        description: How long DNS resolvers may keep an answer, like V(10s).
        type: str
        default: ""
      state:
        description: Whether it is there.
        type: str
        choices: [absent, present]
        default: present
  wait:
    description: For how many seconds to try again while the cluster has no leader.
    type: float
    default: 60
notes:
  - The token needs C(query:write) on the names, which a rule C(query_prefix) gives, and no more. Whoever asks needs C(service:read) on what is found.
"""

EXAMPLES = r"""
---
- name: Find the database next to who asks, and in another datacenter when there is none
  discovery.consul.consul_prepared_query:
    queries:
      - name: db
        service: postgres
        tags: [primary]
        near: _agent
        failover:
          datacenters: [dc2]
      - name: former
        state: absent
    token: "{{ management_token }}"
"""

RETURN = r"""
changes:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      name: db
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.prepared_query import QUERY_ARGUMENTS, converge

ARGUMENTS = {**API_ARGUMENTS, **QUERY_ARGUMENTS}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, converge)


if __name__ == "__main__":
    main()
