#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_dns_proof
short_description: Prove that names are found on a host and in its containers
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Asks for names over UDP, over TCP and by the C library, as the programs of the host do, and fails when one of these finds no address.
  - With O(container) it asks over UDP and TCP from the network of a container that it makes and removes again, the server that the engine gave it.
requirements:
  - dnspython
  - docker (the Docker SDK for Python), 7.1 or newer, with O(container)
attributes:
  check_mode:
    description: Can run in check mode. It changes nothing, but for the container, which it does not make then, and so proves nothing with O(container).
    support: full
  diff_mode:
    description: Shows what changes. Nothing ever does.
    support: none
  idempotent:
    description: Run twice, it changes nothing. It never does.
    support: full
options:
  names:
    description: The names to find.
    type: list
    elements: str
    required: true
  server:
    description: The server to ask, as C(ADDRESS:PORT). The first one of the host's or the container's C(resolv.conf) when it is not given.
    type: str
  container:
    description: Whether to ask in a container, on the bridge that containers are on by default.
    type: bool
    default: false
  images:
    description: Images for that container. The first that the engine holds is used, or else that of a container that runs. It needs a program C(sleep).
    type: list
    elements: str
    default: []
  docker_host:
    description: URL of the engine, which runs on the host of the module. The variable E(DOCKER_HOST), or the usual socket, when it is not given.
    type: str
  seconds:
    description: How long to ask again for what is not found.
    type: float
    default: 20
  timeout:
    description: How many seconds one answer may take.
    type: float
    default: 3
"""

EXAMPLES = r"""
---
- name: Prove it on the host
  discovery.consul.consul_dns_proof:
    names: [consul.service.consul, www.example.org]

- name: Prove it in a container
  discovery.consul.consul_dns_proof:
    names: [consul.service.consul, www.example.org]
    container: true
  become: true
"""

RETURN = r"""
server:
  description: The server that was asked.
  returned: when it could be asked
  type: str
  sample: 127.0.0.53:53
proofs:
  description: One for each name and way.
  returned: when it could be asked
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
    transport:
      description: V(udp), V(tcp), or V(libc) for what programs get that ask the C library.
      type: str
    addresses:
      description: The addresses that were found.
      type: list
      elements: str
    error:
      description: Why there are none.
      type: str
"""

from contextlib import nullcontext

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import LibraryMissingError
from ansible_collections.discovery.consul.plugins.module_utils._consul.dns import check_library
from ansible_collections.discovery.consul.plugins.module_utils._consul.dns_proof import an_image, in_container, on_host, prove, verdict
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import LibraryMissingError as SdkMissingError
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError, without_rights

ARGUMENTS = {
    "container": {"type": "bool", "default": False},
    "docker_host": {"type": "str"},
    "images": {"type": "list", "elements": "str", "default": []},
    "names": {"type": "list", "elements": "str", "required": True},
    "seconds": {"type": "float", "default": 20},
    "server": {"type": "str"},
    "timeout": {"type": "float", "default": 3},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options, inside = module.params, module.params["container"]
    if inside and module.check_mode:
        module.exit_json(changed=False)
    place = "In a container" if inside else "On the host"
    try:
        check_library()
        engine = Engine(options["docker_host"])
        with in_container(engine, an_image(engine, options["images"])) if inside else nullcontext(options["server"] or on_host()) as found:
            server = options["server"] or found
            # The C library asks what the host's files say, and not a server that is given.
            transports = ["udp", "tcp"] if inside or options["server"] else ["udp", "tcp", "libc"]
            proofs = prove(server, options["names"], transports, options["seconds"], options["timeout"])
    except LibraryMissingError as exc:
        module.fail_json(msg=missing_required_lib(exc.name), exception=str(exc))
    except SdkMissingError as exc:
        module.fail_json(msg=missing_required_lib("docker"), exception=str(exc))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=without_rights(exc))
    trouble = verdict(proofs, server, place)
    if trouble:
        module.fail_json(msg=trouble, server=server, proofs=proofs)
    module.exit_json(changed=False, server=server, proofs=proofs)


if __name__ == "__main__":
    main()
