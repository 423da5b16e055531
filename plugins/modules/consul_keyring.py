#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_keyring
short_description: Change the gossip key of a running Consul cluster
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Makes one gossip key the only one of a running cluster - installs it on all members, has them encrypt with it, and removes
    the others. A step begins only when every member has done the one before.
  - Interrupted, it can be run again. Nothing is restarted.
extends_documentation_fragment:
  - discovery.consul.api
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Shows what changes. Keys are never shown.
    support: none
  idempotent:
    description: Run twice, it changes nothing the second time.
    support: full
options:
  key:
    description: The gossip key, 32 bytes in base64.
    type: str
    required: true
notes:
  - The token needs C(keyring = "write").
"""

EXAMPLES = r"""
- name: Change the gossip key
  discovery.consul.consul_keyring:
    key: "{{ lookup('ansible.builtin.file', 'secrets/dc1/gossip.key.next') }}"
    token: "{{ lookup('ansible.builtin.file', 'secrets/dc1/tokens/management') }}"
"""

RETURN = r"""
steps:
  description: What was done, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [install, use, remove]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.keyring import converge

ARGUMENTS = {**API_ARGUMENTS, "key": {"type": "str", "required": True, "no_log": True}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, converge)


if __name__ == "__main__":
    main()
