#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_node_services
short_description: Prove that the catalog has the services that a node declares
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Asks a node's agent, and the catalog through it, and waits until both have the services of its configuration as they are declared.
  - An agent tells the servers by itself, and when they refuse it, again only after a minute or more. With O(reload) it does so at once.
  - What the catalog has of the node and the agent has not any more is taken out of the catalog. Agents do so themselves, but before Consul 1.15 with
    the token of the service, which has lost its right by then.
  - The role consul_agent calls it. The health of the services does not matter to it.
extends_documentation_fragment:
  - discovery.consul.api
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Shows what changes. It shows none.
    support: none
  idempotent:
    description: Run twice, it changes nothing the second time.
    support: full
options:
  node:
    description: Name of the agent's node.
    type: str
    required: true
  services:
    description: The services, as O(discovery.consul.consul_agent#module:services) takes them.
    type: list
    elements: dict
    default: []
  former_services:
    description: Ids of services that the agent is to have no more.
    type: list
    elements: str
    default: []
  reload:
    description: Whether the agent may be told to read its configuration again. It needs C(agent:write).
    type: bool
    default: false
  wait:
    description: How many seconds it may take.
    type: float
    default: 120
notes:
  - The token needs C(service:read) on the services and C(node:write) on the node, which the agent's own token has.
"""

EXAMPLES = r"""
- name: Prove that the database is in the catalog
  discovery.consul.consul_node_services:
    node: node4
    services:
      - name: db
        port: 5432
    token: "{{ agent_token }}"
"""

RETURN = r"""
missing:
  description: The ids of services that the catalog did not have at first, as they are declared.
  returned: success
  type: list
  elements: str
  sample: [db]
left:
  description: The ids of services that the catalog still had.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul import config
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.registered import prove

ARGUMENTS = {
    **API_ARGUMENTS,
    "former_services": {"type": "list", "elements": "str", "default": []},
    "node": {"type": "str", "required": True},
    "reload": {"type": "bool", "default": False},
    "services": {"type": "list", "elements": "dict", "default": []},
    "wait": {"type": "float", "default": 120},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.no_log_values.update(config.secrets({"services": module.params["services"]}))
    run(module, prove)


if __name__ == "__main__":
    main()
