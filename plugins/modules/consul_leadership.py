#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_leadership
short_description: Have another server lead a Consul cluster
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Sees that O(node) does not lead the cluster, so that nobody waits for an election when it stops. Where it leads, the leadership is handed
    over to another server, and the module waits until that one leads.
  - Consul has that call since 1.15. An older release is no failure, and RV(supported) says so.
extends_documentation_fragment:
  - discovery.consul.api
attributes:
  check_mode:
    description: Can run in check mode. Whether the release has the call is not found out then.
    support: full
  diff_mode:
    description: Shows what changes. RV(leader) says it.
    support: none
  idempotent:
    description: Run twice, it changes nothing the second time.
    support: full
options:
  node:
    description: Name of the server that is not to lead.
    type: str
    required: true
  wait:
    description: How many seconds the new leader may take.
    type: float
    default: 15
notes:
  - The token needs C(operator = "write").
"""

EXAMPLES = r"""
- name: Have another server lead before this one stops
  discovery.consul.consul_leadership:
    node: server1
    url: https://10.0.0.12:8501
    ca_cert: /etc/discovery.consul/server2/ca.pem
    token: "{{ management_token }}"
"""

RETURN = r"""
leader:
  description: Name of the server that leads. In check mode and where the call is not supported, that is the one that led before. Empty during
    an election.
  returned: success
  type: str
  sample: server2
supported:
  description: Whether the release of Consul can hand the leadership over. It is only asked where O(node) leads.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.leadership import hand_over

ARGUMENTS = {
    **API_ARGUMENTS,
    "node": {"type": "str", "required": True},
    "wait": {"type": "float", "default": 15},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, hand_over)


if __name__ == "__main__":
    main()
