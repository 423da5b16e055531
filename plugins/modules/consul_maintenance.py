#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_maintenance
short_description: Take a node, or a service on it, out of service and put it back
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Begins or ends Consul's maintenance of the node whose agent is asked, or of the instances of one service on it, and waits until the catalog shows
    it. What is in maintenance is found by nobody who asks for what is passing, nor by DNS.
  - It runs where the agent is reached from, as a rule on the node's own host, and needs no Python library.
  - An instance that is registered anew, as that of a container that is replaced, is in maintenance with its node, and not with the instance before it.
extends_documentation_fragment:
  - discovery.consul.reader
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
  service:
    description: Name of a service. All of its instances on this agent are meant. The whole node is meant when it is not given.
    type: str
  reason:
    description: Why, for whoever looks at the checks. The reason of a maintenance that has begun already stays as it is.
    type: str
    default: Ansible
  state:
    description: Whether there is maintenance.
    type: str
    choices: [absent, present]
    default: present
  wait:
    description: How many seconds it may take until the catalog shows it.
    type: float
    default: 30
  datacenters:
    description: Has no meaning here, since an agent is in one datacenter.
    type: list
    elements: str
    default: []
notes:
  - The token needs C(node:write) on the node, or C(service:write) on the service, and C(node:read) and C(service:read).
"""

EXAMPLES = r"""
---
- name: Take the host out of service
  discovery.consul.consul_maintenance:
    reason: A new release
    token_file: /etc/deploy/consul-token

- name: Put it back
  discovery.consul.consul_maintenance:
    state: absent
    token_file: /etc/deploy/consul-token
"""

RETURN = r"""
instances:
  description: The ids of the instances that are meant. None for the whole node.
  returned: success
  type: list
  elements: str
  sample: [web-1]
reasons:
  description: Why there was maintenance before.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.maintenance import converge
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import READER_ARGUMENTS, Reader
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

ARGUMENTS = {
    **READER_ARGUMENTS,
    "reason": {"type": "str", "default": "Ansible"},
    "service": {"type": "str"},
    "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
    "wait": {"type": "float", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = converge(Reader.of(module.params), module.params, module.check_mode)
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
