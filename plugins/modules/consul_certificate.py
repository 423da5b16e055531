#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_certificate
short_description: Make the certificate of a Consul server, and its authority once
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Makes C(servers/NAME.pem) below a folder, with its key C(servers/NAME.key), signed by the authority C(ca.pem). Run it on the controller.
  - Makes the authority with its key C(ca.key) when there is none. It is valid for ten years, and new keys are elliptic, P-256.
  - Makes the certificate anew when it ends within 30 days, is for other names or is signed by another authority. It is valid for 397 days.
  - A key that is there is used, of whatever kind it is, and is never made anew.
  - Calls for several servers at the same time make one authority.
requirements:
  - cryptography
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
    description: The folder of the secrets, mode 0700. Its files are 0600.
    type: path
    required: true
  name:
    description: Name of the server, after which its files are called.
    type: str
    required: true
  common_name:
    description: Common name of the certificate, like V(server.dc1.consul), which Consul asks for.
    type: str
    required: true
  names:
    description: What the certificate is for, each as V(DNS:NAME), V(IP:ADDRESS) or V(URI:ADDRESS).
    type: list
    elements: str
    required: true
  authority_name:
    description: Common name of an authority that is made.
    type: str
    default: Consul
  authority:
    description: Certificate of the authority in PEM format. Its default is the contents of C(ca.pem), which is made when it is not there.
    type: str
  authority_key:
    description:
      - Key of the authority in PEM format, without a password. Its default is the contents of C(ca.key).
      - Give it when the file is encrypted with C(ansible-vault).
    type: str
  key:
    description:
      - Key of the server in PEM format, without a password. Its default is the contents of C(servers/NAME.key), which is made when it is not there.
      - Give it when the file is encrypted with C(ansible-vault).
    type: str
"""

EXAMPLES = r"""
- name: Make the certificate of each server
  discovery.consul.consul_certificate:
    path: "{{ inventory_dir }}/.secrets/dc1"
    name: "{{ inventory_hostname }}"
    common_name: server.dc1.consul
    names:
      - DNS:server.dc1.consul
      - DNS:localhost
      - IP:127.0.0.1
      - IP:{{ ansible_host }}
    authority_name: Consul dc1
  delegate_to: localhost
  become: false
"""

RETURN = r"""
created:
  description: Names of the files that were not there before, relative to O(path).
  returned: success
  type: list
  elements: str
  sample: [ca.key, ca.pem, servers/server1.key, servers/server1.pem]
written:
  description: Names of all files that were written, a certificate that was made anew among them.
  returned: success
  type: list
  elements: str
  sample: [servers/server1.pem]
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._consul.certificates import HAS_CRYPTOGRAPHY, Request, make
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

ARGUMENTS = {
    "authority": {"type": "str"},
    "authority_key": {"type": "str", "no_log": True},
    "authority_name": {"type": "str", "default": "Consul"},
    "common_name": {"type": "str", "required": True},
    "key": {"type": "str", "no_log": True},
    "name": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "required": True},
    "path": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg=missing_required_lib("cryptography"))
    given = module.params
    request = Request(
        folder=given["path"],
        name=given["name"],
        common_name=given["common_name"],
        names=tuple(given["names"]),
        authority_name=given["authority_name"],
        authority=given["authority"] or "",
        authority_key=given["authority_key"] or "",
        key=given["key"] or "",
    )
    try:
        made = make(request, module.check_mode)
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=bool(made.written), created=made.created, written=made.written)


if __name__ == "__main__":
    main()
