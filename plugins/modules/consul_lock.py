#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_lock
short_description: Keep two plays from changing one Consul cluster at the same time
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Takes, renews or releases a lock that the cluster itself keeps - a key that a session holds. While one play holds it, others fail and say
    whose it is, whichever hosts they work on.
  - The session has no health checks, so the lock outlives the stop of any server. It ends only with the node that it was made through, when
    that is taken out of the cluster, and when nobody renews it.
  - The play that holds the lock gets the same session when it takes it again. That of a play on the same controller that is dead is broken
    at once, that of one on another controller ends by itself when it is not renewed.
  - A cluster without a leader can keep no lock. This is no failure, and RV(leaderless) says so.
extends_documentation_fragment:
  - discovery.consul.holder
  - discovery.consul.api
attributes:
  action:
    description: Has an action plugin, which says on the controller who the play is.
    support: full
  check_mode:
    description: Can run in check mode, in which nothing is asked, nothing is taken and nobody is refused.
    support: full
  diff_mode:
    description: Shows what changes.
    support: none
  idempotent:
    description: It never reports a change. A lock is no state of the cluster.
    support: full
options:
  state:
    description:
      - V(present) takes the lock.
      - V(renewed) has O(session) live on, and fails when another play had the lock in the meantime. Where O(session) ended and nobody else
        had it, the lock is taken again with another session.
      - V(absent) releases the lock, if O(session) holds it, and ends the session.
    type: str
    choices: [absent, present, renewed]
    default: present
  key:
    description: The key that is the lock.
    type: str
    default: discovery.consul/lock/rollout
  session:
    description: The session that RV(session) named when the lock was taken. Needed to renew or release it.
    type: str
  ttl:
    description:
      - Seconds after which Consul ends a session that was not renewed. It takes up to twice that. Choose more than the longest time between
        two renewals.
    type: int
    default: 900
  wait:
    description: How many seconds to wait for a lock that another play holds.
    type: float
    default: 0
  break_holder:
    description:
      - The play whose lock is broken, as the message says that names it, C(USER@CONTROLLER:PROCESS). The lock of any other is kept. Only for
        a play that is known to be dead.
    type: str
notes:
  - The token needs C(session_prefix "" { policy = "write" }) and C(key_prefix "discovery.consul/" { policy = "write" }).
"""

EXAMPLES = r"""
- name: Change the cluster alone
  module_defaults:
    group/discovery.consul.api:
      url: https://10.0.0.12:8501
      ca_cert: /etc/discovery.consul/server2/ca.pem
      token: "{{ management_token }}"
  block:
    - name: Keep other plays out
      discovery.consul.consul_lock:
        wait: 60
      register: lock

    - name: Work
      ansible.builtin.command: /usr/local/sbin/work
      changed_when: true

    - name: See that it is still ours
      discovery.consul.consul_lock:
        state: renewed
        session: "{{ lock.session }}"
  always:
    - name: Let other plays in
      discovery.consul.consul_lock:
        state: absent
        session: "{{ lock.session }}"
      when: lock.session | default('')
"""

RETURN = r"""
session:
  description: The session that holds the lock, which may be another one than before. Empty when there is no leader, in check mode, and after the release.
  returned: success
  type: str
  sample: 3b2c8b94-2d5e-4f6c-9d6f-6e4a5f0f5a50
leaderless:
  description: Whether nothing was done because the cluster has no leader.
  returned: success
  type: bool
reason:
  description: What Consul answered instead.
  returned: when there is no leader
  type: str
held_by:
  description: The play that holds the lock. Empty when the key does not name it.
  returned: when it is another one
  type: dict
  sample: {user: alice, controller: laptop, pid: 4711, started: "88123", kernel: "0f3c pid:[4026531836]"}
taken_from:
  description: The play whose lock was broken.
  returned: when there was one
  type: dict
  sample: {user: alice, controller: laptop, pid: 4711, started: "88123", kernel: "0f3c pid:[4026531836]"}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run
from ansible_collections.discovery.consul.plugins.module_utils._consul.cluster_lock import outcome
from ansible_collections.discovery.consul.plugins.module_utils._consul.lock import PROCESS

ARGUMENTS = {
    **API_ARGUMENTS,
    "break_holder": {"type": "str"},
    "dead": {"type": "dict", "options": PROCESS},
    "holder": {"type": "dict", "options": PROCESS},
    "key": {"type": "str", "default": "discovery.consul/lock/rollout", "no_log": False},
    "session": {"type": "str"},
    "state": {"type": "str", "choices": ["absent", "present", "renewed"], "default": "present"},
    "ttl": {"type": "int", "default": 900},
    "wait": {"type": "float", "default": 0},
}


def main() -> None:
    required = [("state", state, ["session"]) for state in ("absent", "renewed")]
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, required_if=required)
    run(module, outcome)


if __name__ == "__main__":
    main()
