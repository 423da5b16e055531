#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registrator
short_description: Converge a Registrator container
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Runs a Registrator on a Docker host - the collection's own, or any image that takes the original's command line.
  - Registrator registers each container's published ports as services, and removes them when the container ends.
  - Between it and the engine stands a proxy that lets only reads pass, see O(engine_access).
  - Compares field by field and replaces a container only when that is needed; one that does not come up is put back.
extends_documentation_fragment:
  - discovery.consul.container
options:
  container_name:
    description: Name of the container.
    type: str
    default: registrator
  registry:
    description:
      - URI of the registry, like V(consul://127.0.0.1:8500). The agent of the same host is the right one.
    type: str
    default: consul://127.0.0.1:8500
  ip:
    description:
      - Address to register every service with. The host's own when it is not given. Not together with O(internal).
    type: str
  internal:
    description: Register container addresses and container ports instead of published ones.
    type: bool
    default: false
  explicit:
    description: Register only containers that give a service name.
    type: bool
    default: false
  use_ip_from_label:
    description: Name of a container label that holds the address to register.
    type: str
  tags:
    description: Tags that every service gets, in addition to its own.
    type: list
    elements: str
    default: []
  ttl:
    description: Seconds after which a registry drops what is not refreshed. Together with O(ttl_refresh); Consul has no use for it.
    type: int
  ttl_refresh:
    description: Seconds between two refreshes, fewer than O(ttl).
    type: int
  resync:
    description: Seconds between two registrations of everything; V(0) is never, and ours does not need it.
    type: int
    default: 0
  deregister:
    description: Whether to remove the services of every container that ends, or only of those that end well.
    type: str
    choices: [always, on-success]
    default: always
  retry_attempts:
    description: How often to try again to reach the registry at the start; V(-1) is forever.
    type: int
    default: -1
  retry_interval:
    description: Milliseconds between two of these tries.
    type: int
    default: 2000
  cleanup:
    description: Remove services of this host whose containers are gone. The original needs it; ours always does it.
    type: bool
    default: false
  address_from:
    description:
      - Interface or CIDR of the host whose address is registered, when O(ip) is not given. Only the collection's own image has it.
    type: str
  allowed_names:
    description:
      - Patterns that the name of every service must match, like V(app-*); what has another name is not registered, and a
        warning says so. Any name when it is not given. Only the collection's own image has it.
      - Give the token of O(token) rights on the same names - C(service_prefix "app-") goes with V(app-*).
    type: list
    elements: str
    default: []
  owner:
    description:
      - Name of this Registrator in the mark of what it registers. No other Registrator that writes to the same registry may have it.
      - The host's name and a digest of its machine's id when it is not given. Only the collection's own image has it.
    type: str
  script_checks:
    description:
      - Let containers give Consul programs to run as checks, by C(SERVICE_CHECK_SCRIPT) and C(SERVICE_CHECK_CMD). Whoever may
        start a container then runs programs where the agent runs. Only the collection's own image has it.
    type: bool
  health_checks:
    description:
      - Carry the state of Docker's HEALTHCHECK, and pauses, into a check of each service. Only the collection's own image has it.
    type: bool
  health_ttl:
    description:
      - Seconds after which such a check turns critical when it is not renewed. Only the collection's own image has it.
    type: int
  listen:
    description:
      - Address and port for C(/health) and C(/metrics), like V(127.0.0.1:9810). Only the collection's own image has it.
    type: str
  log_format:
    description:
      - How log lines are written. Only the collection's own image has it.
    type: str
    choices: [text, json]
  name_from:
    description:
      - What a service is named after by default. Only the collection's own image has it.
    type: str
    choices: [image, container, service]
  on_container_stop:
    description:
      - What becomes of services whose container is told to stop. Only the collection's own image has it.
    type: str
    choices: [wait, maintenance, deregister]
  on_exit:
    description:
      - What becomes of services when Registrator ends. Only the collection's own image has it.
    type: str
    choices: [keep, maintenance, deregister]
  opt_in:
    description:
      - Register only containers with the label C(registrator.enable=true). Only the collection's own image has it.
    type: bool
  extra_flags:
    description: Further flags of the command line, as they are.
    type: list
    elements: str
    default: []
  token:
    description:
      - Token for Consul, with the right to write services. It is kept in a file that only the program can read.
    type: str
  config_dir:
    description: Folder on the Docker host for O(token). C(/etc/discovery.consul/NAME) when it is not given.
    type: path
  hostname:
    description:
      - Name that goes into the ids of services. It must stay the same. The host's own when it is not given.
      - Registrator stays in the host's network whatever its name is.
    type: str
  docker_socket:
    description: The engine's socket on the Docker host, which containers and events are read from.
    type: path
    default: /var/run/docker.sock
  engine_access:
    description:
      - V(proxy) - Registrator reaches the engine through a second container, C(NAME-proxy), that lets only reads of
        containers, events and the version pass, and of them only what Registrator reads. Whoever breaks into Registrator can
        then change nothing, and learns no environment, command line, mount or label of a container that is not meant for it.
      - V(socket) - it gets O(docker_socket) itself, with which one is root on the host, and the proxy is removed.
      - Options of the container, like O(memory) and O(user), hold for both containers.
    type: str
    choices: [proxy, socket]
    default: proxy
  engine_documents:
    description:
      - V(filtered) - the proxy passes only the fields that Registrator reads.
      - V(whole) - it passes what the engine tells of a container as it is, for templates in O(tags) that read more.
      - V(filtered) when it is not given, unless O(tags) has a template.
    type: str
    choices: [filtered, whole]
  proxy_image:
    description:
      - Image of the proxy. Only the collection's own image has one inside. O(image) when it is not given.
    type: str
  user:
    description: Numeric user and group that the program runs as. The socket's group is added for who uses that.
    type: str
    default: "65532:65532"
"""

EXAMPLES = r"""
- name: Register what runs on this host
  discovery.consul.registrator:
    image: localhost/discovery/registrator:0.1.0
    registry: consul://127.0.0.1:8500
"""

RETURN = r"""
plan:
  description: What was done, or would be done in check mode.
  returned: always
  type: dict
  contains:
    actions:
      description: The steps, in order.
      type: list
      elements: str
    differences:
      description: Why, as dictionaries of C(name), C(current), C(wanted) and C(needs). Secrets are hidden.
      type: list
      elements: dict
pending:
  description: Whether a plan that would stop the running container was left for later, because of O(allow_disruption=false).
  returned: always
  type: bool
container_name:
  description: Name of the container.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._docker.arguments import CONTAINER_ARGUMENTS
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.run import run
from ansible_collections.discovery.consul.plugins.module_utils._registrator import Registrator

ARGUMENTS = {
    **CONTAINER_ARGUMENTS,
    "address_from": {"type": "str"},
    "allowed_names": {"type": "list", "elements": "str", "default": []},
    "cleanup": {"type": "bool", "default": False},
    "config_dir": {"type": "path"},
    "container_name": {"type": "str", "default": "registrator"},
    "deregister": {"type": "str", "choices": ["always", "on-success"], "default": "always"},
    "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
    "engine_access": {"type": "str", "choices": ["proxy", "socket"], "default": "proxy"},
    "engine_documents": {"type": "str", "choices": ["filtered", "whole"]},
    "explicit": {"type": "bool", "default": False},
    "extra_flags": {"type": "list", "elements": "str", "default": []},
    "health_checks": {"type": "bool"},
    "health_ttl": {"type": "int"},
    "hostname": {"type": "str"},
    "internal": {"type": "bool", "default": False},
    "ip": {"type": "str"},
    "listen": {"type": "str"},
    "log_format": {"type": "str", "choices": ["text", "json"]},
    "name_from": {"type": "str", "choices": ["image", "container", "service"]},
    "on_container_stop": {"type": "str", "choices": ["wait", "maintenance", "deregister"]},
    "on_exit": {"type": "str", "choices": ["keep", "maintenance", "deregister"]},
    "opt_in": {"type": "bool"},
    "owner": {"type": "str"},
    "proxy_image": {"type": "str"},
    "registry": {"type": "str", "default": "consul://127.0.0.1:8500"},
    "resync": {"type": "int", "default": 0},
    "retry_attempts": {"type": "int", "default": -1},
    "retry_interval": {"type": "int", "default": 2000},
    "script_checks": {"type": "bool"},
    "tags": {"type": "list", "elements": "str", "default": []},
    "token": {"type": "str", "no_log": True},
    "ttl": {"type": "int"},
    "ttl_refresh": {"type": "int"},
    "use_ip_from_label": {"type": "str"},
    "user": {"type": "str", "default": "65532:65532"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", state, ["image"]) for state in ("started", "present", "stopped")],
    )
    engine = Engine(module.params["docker_host"], module.params["engine_timeout"])
    run(module, lambda: Registrator(engine, module.params))


if __name__ == "__main__":
    main()
