#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: play_lock
short_description: Keep two plays from working on one host at the same time
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Takes, refreshes or releases a lock on the host, a file that says which play holds it. While one play holds it, the others fail at once
    and say whose it is.
  - A play holds the lock of a host once, for all hosts of the inventory that are this host. Taking it again refreshes it.
  - The lock of a dead play is taken over O(stale_after) seconds after it was last refreshed, and at once by a play on the same controller.
extends_documentation_fragment:
  - discovery.consul.holder
attributes:
  action:
    description: Has an action plugin, which says on the controller who the play is.
    support: full
  check_mode:
    description: Can run in check mode, in which nothing is taken and nobody refused.
    support: full
  diff_mode:
    description: Shows what changes.
    support: none
  idempotent:
    description: It never reports a change. A lock is no state of the host.
    support: full
options:
  state:
    description:
      - V(present) takes the lock or refreshes it.
      - V(absent) releases it. The lock of another play, or none, is left as it is.
    type: str
    choices: [absent, present]
    default: present
  path:
    description: The file. Below C(/run) it does not outlive a restart of the host.
    type: path
    default: /run/discovery.consul/lock
  stale_after:
    description: How many seconds after it was last refreshed the lock of another play is taken over. Refresh it more often than that.
    type: int
    default: 900
  break_holder:
    description:
      - The play whose lock is broken whatever its age, as the message says that names it, C(USER@CONTROLLER:PROCESS). The lock of any
        other is kept. Only for a play that is known to be dead.
    type: str
    version_added: "0.2.0"
"""

EXAMPLES = r"""
- name: Work on the host alone
  block:
    - name: Keep other plays out
      discovery.consul.play_lock:

    - name: Work
      ansible.builtin.command: /usr/local/sbin/work
      changed_when: true
  always:
    - name: Let other plays in
      discovery.consul.play_lock:
        state: absent
"""

RETURN = r"""
strategy:
  description: Name of the strategy of the play. With one under which hosts do not wait for each other, there are no turns.
  returned: always
  type: str
  sample: linear
held_by:
  description: The play that holds the lock. Empty when its file cannot be understood.
  returned: when it is another one
  type: dict
  sample: {user: alice, controller: laptop, pid: 4711, started: "88123", kernel: "0f3c pid:[4026531836]"}
taken_from:
  description: The play whose lock was taken over. Empty when its file could not be understood.
  returned: when there was one
  type: dict
  sample: {user: alice, controller: laptop, pid: 4711, started: "88123", kernel: "0f3c pid:[4026531836]"}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.lock import ARGUMENTS, outcome


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = outcome(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
