#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_service_info
short_description: The instances of a service, as Consul knows them
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Asks an agent where a service runs, and how healthy its instances are. It runs where that agent is reached from, and needs no Python library.
  - On the controller, the lookup P(discovery.consul.consul_service#lookup) does it in an expression.
extends_documentation_fragment:
  - discovery.consul.reader
attributes:
  check_mode:
    description: Can run in check mode. It never changes anything.
    support: full
  diff_mode:
    description: Shows what changes. Nothing ever does.
    support: none
  idempotent:
    description: Run twice, it changes nothing. It never does.
    support: full
options:
  name:
    description: Name of the service.
    type: str
    required: true
  tags:
    description: Tags that an instance must have, all of them.
    type: list
    elements: str
    default: []
  passing_only:
    description: Returns only instances all of whose checks are passing, those of their node included.
    type: bool
    default: true
notes:
  - The token needs C(service:read) on the service and C(node:read) on its nodes. Consul does not tell whether a token may not see a service or
    there is none.
"""

EXAMPLES = r"""
---
- name: Wait until three instances of version 2 are passing
  discovery.consul.consul_service_info:
    name: web
    tags: [v2]
    token_file: /etc/deploy/consul-token
  register: web
  until: web.instances | length >= 3
  retries: 30
  delay: 2
"""

RETURN = r"""
instances:
  description: The instances, by datacenter as they are asked, by node and by id.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service.
      type: str
    id:
      description: What tells it from others of its node.
      type: str
    address:
      description: Its address, or its node's when it has none.
      type: str
    port:
      description: Its port, V(0) when it has none.
      type: int
    tags:
      description: Its tags.
      type: list
      elements: str
    meta:
      description: Its metadata.
      type: dict
    node:
      description: Name of its node.
      type: str
    datacenter:
      description: Its datacenter.
      type: str
    status:
      description: The worst of its checks - V(passing), V(warning), V(critical) or V(maintenance).
      type: str
registered:
  description: How many instances with these tags are registered, passing or not.
  returned: success
  type: int
  sample: 3
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import READER_ARGUMENTS, Reader
from ansible_collections.discovery.consul.plugins.module_utils._consul.services import find
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

ARGUMENTS = {
    **READER_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "passing_only": {"type": "bool", "default": True},
    "tags": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    try:
        found = find(Reader.of(options), options["name"], options["tags"], options["datacenters"])
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    if not found.registered:
        module.warn(found.trouble)
    module.exit_json(changed=False, instances=found.passing if options["passing_only"] else found.registered, registered=len(found.registered))


if __name__ == "__main__":
    main()
