#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl
short_description: Give rights in a Consul cluster, as policies, roles and tokens
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Brings policies, roles and tokens to what is declared, in one call. What is as declared stays untouched.
  - Secrets are chosen beforehand, so nothing has to be read back, and a run that was interrupted anywhere does what is left when it is run again.
  - Each policy, role and token belongs to an owner. A mark at the end of its description says to which one, and nothing of another owner is
    ever changed or removed.
  - A policy or a role of the same name, and a token with the same secret, that bears no mark, is adopted.
  - Consul never changes the secret of a token. So another secret makes a second token, and the former one stays valid until it is purged.
extends_documentation_fragment:
  - discovery.consul.api
attributes:
  check_mode:
    description: Can run in check mode. A token may lack its secret then, and is predicted to be made.
    support: full
  diff_mode:
    description: Shows what changes, without secrets.
    support: full
  idempotent:
    description: Run twice, it changes nothing the second time.
    support: full
options:
  owner:
    description:
      - Whom the declared policies, roles and tokens belong to, unless they name another owner. Letters, digits, dots, dashes and underscores.
    type: str
    required: true
  purge:
    description:
      - Whether to remove what belongs to O(owner) and is not declared, tokens with a former secret among it.
      - With O(purge=true) and nothing declared, all that belongs to O(owner) is removed.
    type: bool
    default: false
  purge_superseded:
    description:
      - Whether to remove tokens that a declared token of the same name and owner with another secret has replaced, and nothing else. It is what ends
        the change of a secret, when everybody has the new one.
    type: bool
    default: false
  wait:
    description:
      - For how many seconds to try again while the cluster has no leader, or its ACL system is not ready yet. A server that has just started may
        need 30. A management token that Consul does not know is waited for as well.
    type: float
    default: 60
  policies:
    description: Policies, by their names.
    type: list
    elements: dict
    default: []
    suboptions:
      name: &name
        description: Its name, which Consul knows it by.
        type: str
        required: true
      rules:
        description: What it allows, in Consul's language of rules.
        type: str
        default: ""
      description: &description
        description: What it is for. The mark is added at its end.
        type: str
        default: ""
      datacenters: &datacenters
        description: The only datacenters that it is for. All of them when there is none.
        type: list
        elements: str
        default: []
      owner: &owner
        description: Whom it belongs to, instead of O(owner).
        type: str
      state: &state
        description: Whether it is there. What is absent need not be declared any further.
        type: str
        choices: [absent, present]
        default: present
  roles:
    description: Roles, by their names. A role is what several tokens have in common.
    type: list
    elements: dict
    default: []
    suboptions:
      name: *name
      description: *description
      policies: &policies
        description: Names of policies. Each is declared here, or exists.
        type: list
        elements: str
        default: []
      service_identities: &service_identities
        description: Services whose instances it may register, and whose likes it may find.
        type: list
        elements: dict
        default: []
        suboptions:
          service_name:
            description: Name of the service.
            type: str
            required: true
          datacenters: *datacenters
      node_identities: &node_identities
        description: Nodes that it may write, as the agents on them do. Consul has them since 1.8.1.
        type: list
        elements: dict
        default: []
        suboptions:
          node_name:
            description: Name of the node.
            type: str
            required: true
          datacenter:
            description: Its datacenter.
            type: str
            required: true
      owner: *owner
      state: *state
  tokens:
    description: Tokens.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Its name, which is in its mark, as tokens have none of their own in Consul. Letters, digits, dots, dashes and underscores.
        type: str
        required: true
      secret:
        description:
          - Its secret, a UUID that was chosen beforehand. Whoever has it has the rights. The accessor of the token follows from its name and secret.
          - Needed unless O(tokens[].state=absent), which removes the tokens of that name that belong to the owner, and the one with that secret.
        type: str
      description: *description
      policies: *policies
      roles:
        description: Names of roles. Each is declared here, or exists.
        type: list
        elements: str
        default: []
      service_identities: *service_identities
      node_identities: *node_identities
      owner: *owner
      state: *state
notes:
  - The token in O(token) needs C(acl = "write"), which the management token has.
"""

EXAMPLES = r"""
---
- name: Give an application its rights, and take those away that are not declared any more
  discovery.consul.consul_acl:
    owner: shop
    purge: true
    policies:
      - name: shop-settings
        description: What the shop reads of its settings
        rules: |
          key_prefix "shop/" { policy = "read" }
    tokens:
      - name: shop
        description: The shop
        secret: "{{ vault_shop_token }}"
        policies: [shop-settings]
        service_identities:
          - service_name: shop
    token: "{{ management_token }}"

- name: Remove the token of a node that is gone
  discovery.consul.consul_acl:
    owner: dc1.agents
    tokens:
      - name: agent-server4
        state: absent
    url: https://10.0.0.11:8501
    ca_cert: /etc/discovery.consul/server1/ca.pem
    token: "{{ management_token }}"
"""

RETURN = r"""
changes:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: dict
  sample:
    - action: create
      kind: policy
      name: shop-settings
accessors:
  description: The accessor of each declared token, by its name. It is no secret. Empty for a token without a secret in check mode.
  returned: success
  type: dict
  sample:
    shop: 5b7ab8d5-b0c4-5bf9-b77b-bd3bdcf5ae21
superseded:
  description:
    - Accessors of tokens that a token of the same name and owner with another secret has replaced, and that are still valid. O(purge) and
      O(purge_superseded) remove them.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.acl import converge
from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_options import ACL_ARGUMENTS
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import API_ARGUMENTS, run

ARGUMENTS = {**API_ARGUMENTS, **ACL_ARGUMENTS}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, converge)


if __name__ == "__main__":
    main()
