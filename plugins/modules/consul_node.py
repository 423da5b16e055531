#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_node
short_description: Take a node out of a Consul cluster for good
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Has an agent leave its cluster, or has the others forget a node that does not run any more.
  - Interrupted, both can be run again.
extends_documentation_fragment:
  - discovery.consul.api
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Shows what changes. RV(steps) says it.
    support: none
  idempotent:
    description: Run twice, it changes nothing the second time.
    support: full
options:
  name:
    description: Name of the node.
    type: str
    required: true
  state:
    description:
      - V(left) - the agent at O(url) has left the cluster and ended. It is refused when that is another node than O(name). Where nobody listens
        at O(url), there is nothing to leave, and RV(running) says so. Keep the engine from starting it again before.
      - V(removed) - the node is no member, no raft peer and in no catalog any more, which is done through another agent at O(url). A node
        that is alive is refused, as it would come back.
    type: str
    choices: [left, removed]
    required: true
  address:
    description:
      - The address that the node advertised. With O(state=removed) it tells which raft peer is the node's when the node is no member
        any more, because such a peer has lost its name.
    type: str
notes:
  - The token needs C(agent:write) and C(agent:read) on the node to leave, and C(operator = "write"), C(node_prefix "" { policy = "write" })
    to remove it.
"""

EXAMPLES = r"""
- name: Leave the cluster
  discovery.consul.consul_node:
    name: client1
    state: left
    token: "{{ management_token }}"

- name: Have the others forget it
  discovery.consul.consul_node:
    name: client1
    state: removed
    address: 10.0.0.21
    url: https://10.0.0.11:8501
    ca_cert: /etc/discovery.consul/server1/ca.pem
    token: "{{ management_token }}"
  delegate_to: server1
"""

RETURN = r"""
running:
  description: Whether an agent listened at O(url). Always false with O(state=removed).
  returned: success
  type: bool
steps:
  description:
    - What was done, or would be in check mode - V(leave), or what was still there and was removed, V(member), V(raft_peer) and V(catalog).
  returned: success
  type: list
  elements: str
  sample: [member, catalog]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.departure import depart

ARGUMENTS = {
    **API_ARGUMENTS,
    "address": {"type": "str"},
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["left", "removed"], "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, depart)


if __name__ == "__main__":
    main()
