#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_cluster_health
short_description: Judge the health of a Consul cluster, or wait for it
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Asks the nodes of a cluster about themselves and about each other, and judges the answers by eleven rules. Each rule is
    reported with its evidence, and together they give a verdict.
  - A rule is met only when there is evidence for it. What a token may not see is reported as open, never as good.
  - With O(wait_for), readings are repeated until the cluster is as wanted, and the module fails when it does not get there.
    Otherwise, it reports and does not fail.
  - It never takes longer than O(timeout) and one O(request_timeout).
  - The proof that the cluster can be written to is a key of a random name below C(_health/), which is removed at once.
requirements:
  - python-consul2 or py-consul, not both
  - dnspython, when a node has O(servers[].dns)
attributes:
  check_mode:
    description: Can run in check mode. The rule V(write) is left out then, as it would write.
    support: full
  diff_mode:
    description: Shows what changes. Nothing ever does.
    support: none
  idempotent:
    description: Run twice, it changes nothing. It never does.
    support: full
options:
  servers:
    description: The servers that the cluster should have - no fewer and no others.
    type: list
    elements: dict
    required: true
    suboptions: &node
      name:
        description: Name of the node in the cluster.
        type: str
        required: true
      address:
        description: The address that it should advertise. Any, when it is not given.
        type: str
      http:
        description:
          - URL of its HTTP API, as it is reached from where the module runs, like C(https://10.0.0.11:8501).
          - A node without it is judged by what the others say.
        type: str
      dns:
        description: C(HOST:PORT) of its DNS interface. A node without it is not asked over DNS.
        type: str
  clients:
    description: The clients that the cluster should have at least.
    type: list
    elements: dict
    default: []
    suboptions: *node
  ask:
    description: Names of the nodes to ask. All that have O(servers[].http), when it is not given.
    type: list
    elements: str
  token:
    description:
      - ACL token, sent as a header. It needs C(agent:read), C(node:read), C(service:read), C(operator:read), C(key:write) on C(_health/),
        and C(keyring:read) with O(gossip_keys).
    type: str
  ca_cert:
    description: File with the certificates of the authorities to trust.
    type: path
  client_cert:
    description: File with the certificate to show.
    type: path
  client_key:
    description: File with the private key of O(client_cert), when it is not in the same file.
    type: path
  validate_certs:
    description: Whether the certificates of the nodes must be good.
    type: bool
    default: true
  datacenter:
    description: The datacenter that all members must be in. When it is not given, it must be one and the same.
    type: str
  domain:
    description: The domain that the nodes answer DNS queries for.
    type: str
    default: consul
  wait_for:
    description:
      - V(none) takes one reading and reports.
      - V(healthy) waits until all rules are met.
      - V(serving) waits until the cluster serves - there is a leader, and a key can be written.
      - V(can_lose_node) waits until it serves and would go on when the server O(node) stopped, as a quorum of sound voters is left.
      - V(node_is_voter) waits until it serves and the server O(node) is a sound voter, which has caught up.
      - V(degraded), V(spare) and V(voter) are the former names of these three. The next major release does not know them any more.
    type: str
    choices: [none, healthy, serving, can_lose_node, node_is_voter, degraded, spare, voter]
    default: none
  node:
    description: The server that O(wait_for=can_lose_node) and O(wait_for=node_is_voter) are about.
    type: str
  timeout:
    description: How many seconds to wait.
    type: float
    default: 60
  samples:
    description:
      - How many readings in a row must be good. Consul renews some answers every two seconds only, so give V(3) or more
        before a next server is stopped.
    type: int
    default: 1
  interval:
    description: Seconds between two readings.
    type: float
    default: 1
  request_timeout:
    description: Seconds that one reading may last. More than 7, as Consul needs so long to say that there is no leader.
    type: float
    default: 10
  service_checks:
    description:
      - V(report) - critical checks of applications are returned in RV(critical_checks), and the rule V(checks) is met.
      - V(require) - no more than O(allowed_critical) of them may be critical.
    type: str
    choices: [report, require]
    default: report
    version_added: "0.2.0"
  allowed_critical:
    description: How many checks may be critical, with O(service_checks=require).
    type: int
    default: 0
  gossip_keys:
    description:
      - Whether the rule V(security) asks all members for their gossip keys, and is met only when there is one. A token that may ask is shown
        the keys themselves, so this is for those who have such a token anyway.
    type: bool
    default: false
    version_added: "0.2.0"
  stable_for:
    description: How many seconds all servers must have been healthy.
    type: float
    default: 0
  max_trailing_logs:
    description: How many log entries a server may be behind the leader.
    type: int
    default: 250
  allow_version_skew:
    description: Whether members may run different releases, as during an upgrade.
    type: bool
    default: false
  skip_rules:
    description: Rules to leave out.
    type: list
    elements: str
    choices: &rules [servers, leader, raft_peers, autopilot, replication, write, members, catalog, dns, checks, security]
    default: []
  accept_unknown:
    description:
      - Rules that do not keep the verdict from V(healthy) when they cannot be judged, like V(security) with a release of Consul that does not
        show its settings as the rule knows them.
    type: list
    elements: str
    choices: *rules
    default: []
    version_added: "0.2.0"
"""

EXAMPLES = r"""
- name: Wait until the cluster is healthy, three readings in a row
  discovery.consul.consul_cluster_health:
    servers:
      - {name: server1, address: 10.0.0.11, http: "http://10.0.0.11:8500", dns: "10.0.0.11:8600"}
      - {name: server2, address: 10.0.0.12, http: "http://10.0.0.12:8500", dns: "10.0.0.12:8600"}
      - {name: server3, address: 10.0.0.13, http: "http://10.0.0.13:8500", dns: "10.0.0.13:8600"}
    clients:
      - name: web1
    wait_for: healthy
    samples: 3

- name: Report, with the nodes from the inventory
  discovery.consul.consul_cluster_health:
    servers: "{{ groups['consul_servers'] | discovery.consul.expected_nodes(hostvars, server=true) }}"
    token: "{{ operator_token }}"
  register: health

- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ health.verdict }}: {{ health.rules | rejectattr('ok', 'eq', true) | map(attribute='summary') | join(' ') }}"
"""

RETURN = r"""
verdict:
  description:
    - V(healthy) - all rules are met.
    - V(degraded) - there is a leader and a key can be written, but a rule is not met.
    - V(unavailable) - there is no leader, or no key can be written.
    - V(unknown) - rules are open for want of permission.
  returned: always
  type: str
  sample: healthy
rules:
  description: The rules, in order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the rule.
      type: str
    ok:
      description: Whether it is met. None when it was left out or could not be judged.
      type: bool
    summary:
      description: What was found, in one sentence.
      type: str
    evidence:
      description: All that speaks against it.
      type: list
      elements: str
    nodes:
      description: Names of the nodes concerned.
      type: list
      elements: str
    remedy:
      description: What to do.
      type: str
failed_rules:
  description: Names of the rules that are not met.
  returned: always
  type: list
  elements: str
skipped_rules:
  description: Names of the rules that were left out, by O(skip_rules), in check mode, or because there is nothing to ask.
  returned: always
  type: list
  elements: str
leader:
  description: The C(name) and C(address) of the leader. None when there is none that most servers agree on.
  returned: always
  type: dict
  sample: {name: server1, address: "10.0.0.11:8300"}
can_lose:
  description: Names of the sound voters any one of which could stop now, as a quorum of the others would go on.
  returned: always
  type: list
  elements: str
  sample: [server1, server2, server3]
nodes:
  description: The expected nodes.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      type: str
    role:
      description: V(server) or V(client).
      type: str
    address:
      description: The address that it advertises.
      type: str
    state:
      description: V(alive), V(leaving), V(left), V(failed), V(missing), or V(unknown) when no node shows its members.
      type: str
    http:
      description: Whether its HTTP API answered. None when it was not asked.
      type: bool
    version:
      description: Its release of Consul.
      type: str
    voter:
      description: Whether it has a vote. None when that could not be read.
      type: bool
services:
  description: Names of the services in the catalog.
  returned: always
  type: list
  elements: str
  sample: [consul, web]
critical_checks:
  description: The checks that are critical and do not count, a sentence for each.
  returned: always
  type: list
  elements: str
  sample: ["check web of service web on client1 is critical: connection refused"]
samples:
  description: The number of good readings in a row, at the end.
  returned: always
  type: int
elapsed:
  description: Seconds that it took.
  returned: always
  type: float
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import LibraryMissingError
from ansible_collections.discovery.consul.plugins.module_utils._consul.health import FORMER_WAITS, NODE_WAITS, check
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

NODE = {"name": {"type": "str", "required": True}, "address": {"type": "str"}, "http": {"type": "str"}, "dns": {"type": "str"}}
RULES = ["servers", "leader", "raft_peers", "autopilot", "replication", "write", "members", "catalog", "dns", "checks", "security"]

WAITS = ["none", "healthy", "serving", "can_lose_node", "node_is_voter", *FORMER_WAITS]

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "accept_unknown": {"type": "list", "elements": "str", "choices": RULES, "default": []},
    "allow_version_skew": {"type": "bool", "default": False},
    "allowed_critical": {"type": "int", "default": 0},
    "ask": {"type": "list", "elements": "str"},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "clients": {"type": "list", "elements": "dict", "default": [], "options": NODE},
    "datacenter": {"type": "str"},
    "domain": {"type": "str", "default": "consul"},
    "gossip_keys": {"type": "bool", "default": False},
    "interval": {"type": "float", "default": 1},
    "max_trailing_logs": {"type": "int", "default": 250},
    "node": {"type": "str"},
    "request_timeout": {"type": "float", "default": 10},
    "samples": {"type": "int", "default": 1},
    "service_checks": {"type": "str", "choices": ["report", "require"], "default": "report"},
    "servers": {"type": "list", "elements": "dict", "required": True, "options": NODE},
    "skip_rules": {"type": "list", "elements": "str", "choices": RULES, "default": []},
    "stable_for": {"type": "float", "default": 0},
    "timeout": {"type": "float", "default": 60},
    "token": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "wait_for": {"type": "str", "choices": WAITS, "default": "none"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_by={"client_key": "client_cert"},
        required_if=[("wait_for", what, ["node"]) for what in NODE_WAITS],
    )
    try:
        result = check(module.params, module.check_mode)
    except LibraryMissingError as exc:
        module.fail_json(msg=missing_required_lib(exc.name), exception=str(exc))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    failure = result.pop("failure", None)
    if failure:
        module.fail_json(msg=failure, changed=False, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
