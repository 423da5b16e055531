#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_dns_plan
short_description: What a host's resolver needs to ask Consul for Consul's names
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Finds out which resolver the programs of a host ask, and says which files have to be there for it to ask Consul. The role
    P(discovery.consul.consul_dns#role) writes them, proves them and takes them back.
  - It needs no Python library, and root to see who listens.
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
  state:
    description: With V(absent) it says what the role has left, and O(domain), O(listen), O(networks), O(resolver) and O(servers) are not looked at.
    type: str
    choices: [present, absent]
    default: present
  resolver:
    description:
      - The resolver to set up. V(auto) - the one that the first line of C(/etc/resolv.conf) leads to, or V(own) when that is on another machine;
        V(own) - a dnsmasq of the collection, that asks the servers in C(/etc/resolv.conf) for all other names.
    type: str
    choices: [auto, systemd-resolved, dnsmasq, unbound, own]
    default: auto
  domain:
    description: The domain of Consul's names, as the agents have it.
    type: str
    default: consul
  servers:
    description: Where agents answer DNS queries, as C(ADDRESS:PORT).
    type: list
    elements: str
    default: ["127.0.0.1:8600"]
  listen:
    description: Further addresses of the host to answer at. They may appear later.
    type: list
    elements: str
    default: []
  bridge:
    description: The network interface that O(listen) belongs to. Where it is there and has another address, that is refused.
    type: str
  networks:
    description: Who may ask at O(listen), where the resolver is unbound, which asks for that.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
---
- name: See what would have to be there
  discovery.consul.consul_dns_plan:
    servers: ["127.0.0.1:8600"]
  become: true
  register: plan
"""

RETURN = r"""
resolver:
  description: The resolver. Empty with O(state=absent).
  returned: success
  type: str
  sample: systemd-resolved
unit:
  description: Its unit of systemd.
  returned: success
  type: str
check:
  description: The command that judges its configuration; empty when it has none.
  returned: success
  type: list
  elements: str
files:
  description: The files that have to be there, each with RV(ignore:path) and RV(ignore:content).
  returned: success
  type: list
  elements: dict
stale:
  description: Files of the role that have to go.
  returned: success
  type: list
  elements: str
stale_units:
  description: Units that have to be restarted when these have gone.
  returned: success
  type: list
  elements: str
stop_own:
  description: The unit of the collection's own resolver when that has to go, otherwise empty.
  returned: success
  type: str
resolv_conf:
  description: What C(/etc/resolv.conf) has to hold.
  returned: success
  type: str
own_before:
  description: Whether the collection's own resolver is there now.
  returned: success
  type: bool
former_units:
  description: Units that have to be restarted when the files are put back.
  returned: success
  type: list
  elements: str
former:
  description: What each file of the role holds now. RV(ignore:content) is none when it is not there.
  returned: success
  type: list
  elements: dict
former_resolv_conf:
  description: What C(/etc/resolv.conf) holds now.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul.resolver import ALL_FILES, CHOICES, NOTHING, Wanted, make, steps
from ansible_collections.discovery.consul.plugins.module_utils._consul.resolver_host import former, read
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError, without_rights

ARGUMENTS = {
    "bridge": {"type": "str"},
    "domain": {"type": "str", "default": "consul"},
    "listen": {"type": "list", "elements": "str", "default": []},
    "networks": {"type": "list", "elements": "str", "default": []},
    "resolver": {"type": "str", "choices": CHOICES, "default": "auto"},
    "servers": {"type": "list", "elements": "str", "default": ["127.0.0.1:8600"]},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params

    def run(command: list[str]) -> str:
        if not module.get_bin_path(command[0]):
            return ""
        code, said, _errors = module.run_command(command)
        return "" if code else said

    try:
        host = read(run, bridge=options["bridge"] or "")
        wanted = Wanted(options["resolver"], options["domain"], *(tuple(options[name]) for name in ("servers", "listen", "networks")))
        plan = make(wanted, host) if options["state"] == "present" else NOTHING
        result = steps(plan, host, former(ALL_FILES))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=without_rights(exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
