#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_autopilot
short_description: Set how few servers of a Consul cluster autopilot may leave
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Sets C(MinQuorum) in the configuration of autopilot, which the cluster itself keeps. Agents read it from their files only when the cluster is
    bootstrapped. Everything else in that configuration stays as it is, whoever set it.
  - Nothing is restarted.
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
  min_quorum:
    description: Smallest number of servers that autopilot may leave when it removes dead ones. The number of servers is right.
    type: int
    required: true
notes:
  - The token needs C(operator = "write").
"""

EXAMPLES = r"""
- name: Tell autopilot of a fourth and a fifth server
  discovery.consul.consul_autopilot:
    min_quorum: 5
    token: "{{ management_token }}"
"""

RETURN = r"""
former:
  description: The number that autopilot had before. 0 while nobody has set it.
  returned: success
  type: int
  sample: 3
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.autopilot import configure

ARGUMENTS = {
    **API_ARGUMENTS,
    "min_quorum": {"type": "int", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, configure)


if __name__ == "__main__":
    main()
