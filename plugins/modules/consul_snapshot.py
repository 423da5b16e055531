#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_snapshot
short_description: Save the data of a Consul cluster to a file, or restore them
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Saves a snapshot of all data of a cluster - keys, services, ACL tokens - to a file on the host, or makes the data of the cluster those of
    such a file. The snapshot is as secret as the data.
  - It never is in memory as a whole. What is saved is judged by its checksums before the file appears, and asked for again when it is not
    whole; what is restored is judged before anything is changed.
extends_documentation_fragment:
  - discovery.consul.api
attributes:
  check_mode:
    description: Can run in check mode, in which the file that would be restored is judged.
    support: full
  diff_mode:
    description: Shows what changes. Data of a cluster are never shown.
    support: none
  idempotent:
    description: Each run saves or restores, and reports a change.
    support: none
options:
  state:
    description:
      - V(saved) - the file holds a snapshot of the data as they are now. It is replaced when it is there.
      - V(restored) - the data are those of the file.
    type: str
    choices: [restored, saved]
    required: true
  path:
    description: The file, on the host where the module runs. What is saved has the mode 0600.
    type: path
    required: true
  stale:
    description: Save what the one server at O(url) has, when the others are lost and there is no leader.
    type: bool
    default: false
  release:
    description:
      - The release of Consul that a snapshot was taken from, as RV(release) said then. With O(state=restored) a cluster of another one is refused,
        because Consul does not support that. It is not compared when it is not given.
    type: str
  timeout:
    description: Seconds that the agent may be silent.
    type: float
    default: 60
notes:
  - The token needs all rights.
"""

EXAMPLES = r"""
- name: Save
  discovery.consul.consul_snapshot:
    state: saved
    path: /var/backups/consul.snap
    token: "{{ management_token }}"
  register: saved

- name: Restore
  discovery.consul.consul_snapshot:
    state: restored
    path: /var/backups/consul.snap
    release: "{{ saved.release }}"
    token: "{{ management_token }}"
"""

RETURN = r"""
release:
  description: The release of Consul of the agent that was asked.
  returned: success
  type: str
  sample: 1.8.7
index:
  description: The index in the log of raft that the snapshot goes up to.
  returned: unless it would be saved in check mode
  type: int
term:
  description: The term of raft that it is of.
  returned: unless it would be saved in check mode
  type: int
size:
  description: The size of the file in bytes.
  returned: unless it would be saved in check mode
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.snapshot import transfer

ARGUMENTS = {
    **API_ARGUMENTS,
    "path": {"type": "path", "required": True},
    "release": {"type": "str"},
    "stale": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["restored", "saved"], "required": True},
    "timeout": {"type": "float", "default": 60},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, transfer)


if __name__ == "__main__":
    main()
