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
requirements:
  - python-consul2 or py-consul, not both
attributes:
  action_group:
    description: Use C(group/discovery.consul.consul) in C(module_defaults) to set options for this module.
    support: full
    membership:
      - discovery.consul.consul
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
  url:
    description: URL of the HTTP API of a server.
    type: str
    default: http://127.0.0.1:8500
  token:
    description: ACL token with C(keyring:write).
    type: str
  ca_cert:
    description: File with the certificates of the authorities to trust.
    type: path
  timeout:
    description: Seconds that one answer may take.
    type: float
    default: 30
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

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._consul import keyring
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client, LibraryMissingError, check_library
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

ARGUMENTS = {
    "ca_cert": {"type": "path"},
    "key": {"type": "str", "required": True, "no_log": True},
    "timeout": {"type": "float", "default": 30},
    "token": {"type": "str", "no_log": True},
    "url": {"type": "str", "default": "http://127.0.0.1:8500"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    try:
        check_library()
        client = Client(options["url"], options["token"], options["ca_cert"] or True, timeout=options["timeout"])
        steps = keyring.rotate(client, options["key"], module.check_mode)
    except LibraryMissingError as exc:
        module.fail_json(msg=missing_required_lib(exc.name), exception=str(exc))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=bool(steps), steps=steps)


if __name__ == "__main__":
    main()
