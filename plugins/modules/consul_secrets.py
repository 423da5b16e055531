#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_secrets
short_description: Make the secrets of a Consul cluster once
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Makes a folder with the gossip key and the ACL tokens that a cluster needs, a file for each. Run it on the controller.
  - What is there is never read, written or removed. So a file can be put in place by hand, or be encrypted with C(ansible-vault).
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
  diff_mode:
    description: Shows what changes.
    support: none
  idempotent:
    description: Run twice, it changes nothing the second time.
    support: full
options:
  path:
    description: The folder, mode 0700. Its files are 0600.
    type: path
    required: true
  gossip_key:
    description: Whether to make C(gossip.key), 32 random bytes in base64.
    type: bool
    default: false
  tokens:
    description: Names of tokens. Each is a file below C(tokens/) with a random UUID.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make the secrets of the datacenter once
  discovery.consul.consul_secrets:
    path: "{{ playbook_dir }}/secrets/dc1"
    gossip_key: true
    tokens: [management, dns, agent-server1, agent-server2, agent-server3]
  delegate_to: localhost
  become: false
  run_once: true
"""

RETURN = r"""
created:
  description: Names of the files that were made, relative to O(path).
  returned: always
  type: list
  elements: str
  sample: [gossip.key, tokens/management]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.secrets import make, wanted
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

ARGUMENTS = {
    "gossip_key": {"type": "bool", "default": False},
    "path": {"type": "path", "required": True},
    "tokens": {"type": "list", "elements": "str", "default": [], "no_log": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        created = make(module.params["path"], wanted(module.params["gossip_key"], module.params["tokens"]), module.check_mode)
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=bool(created), created=created)


if __name__ == "__main__":
    main()
