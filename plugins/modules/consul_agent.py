#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_agent
short_description: Converge one Consul node in a container
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Brings one Consul agent (server or client) to the described state - its configuration file and its container.
  - The configuration is built as data for the release of Consul that is in the image, and that very image judges it
    with C(consul validate) before anything that runs is touched.
  - Compares field by field and does no more than the differences need - nothing, a reload (SIGHUP), an update in place,
    a restart, or a replacement. A container that does not come up is put back as it was.
extends_documentation_fragment:
  - discovery.consul.container
options:
  node_name:
    description:
      - Name of the node in the cluster. Letters, digits and dashes, so that DNS can resolve it.
    type: str
    required: true
  server:
    description: Whether the node is a server, which keeps the data and votes. Otherwise it is a client.
    type: bool
    default: false
  datacenter:
    description: The datacenter that the node belongs to.
    type: str
    default: dc1
  domain:
    description: The domain that the node answers DNS queries for. Consul's own default is V(consul.).
    type: str
  bootstrap_expect:
    description:
      - How many servers start the cluster together. Give the same number on each server; it is ignored once there is data.
    type: int
  bootstrap:
    description:
      - Let this one server elect itself. Cannot be given together with O(bootstrap_expect), which is the better way.
    type: bool
  bind_addr:
    description: Address that the node listens on for other nodes. Consul's default is all addresses.
    type: str
  advertise_addr:
    description:
      - Address that other nodes reach this node at. O(ipv4_address) when it is not given, in a network of its own.
    type: str
  client_addr:
    description:
      - Addresses, separated by spaces, that HTTP and DNS listen on.
      - Consul's default V(127.0.0.1) with the host's network; V(0.0.0.0) in a container network, where only published
        ports are reached from elsewhere.
    type: str
  addresses:
    description: Addresses of single interfaces (V(http), V(https), V(dns), V(grpc)), instead of O(client_addr).
    type: dict
    default: {}
  ports:
    description:
      - Ports of the interfaces, like V({"http":8500, "dns":8600}); V(-1) turns one off.
      - C(grpc_tls), which servers of Consul 1.14 or newer open by themselves, is off unless it is given.
    type: dict
    default: {}
  retry_join:
    description: Addresses of servers to join, tried until it works. Name all servers.
    type: list
    elements: str
    default: []
  join:
    description:
      - The old way to name servers to join, which ended the agent when none answered. Treated as O(retry_join).
    type: list
    elements: str
    default: []
  retry_interval:
    description: Time between two attempts to join.
    type: str
    default: 2s
  retry_max:
    description: How often to try to join before the agent ends; V(0) is forever.
    type: int
    default: 0
  rejoin_after_leave:
    description: Join again after a start even when the node had left the cluster on purpose.
    type: bool
  encrypt:
    description:
      - Gossip key, 32 bytes in base64, the same on all nodes.
      - A node that has another one already is refused, because Consul would keep that one without a word.
    type: str
  encrypt_verify_incoming:
    description: Whether gossip that is not encrypted is refused. Consul's default is V(true); V(false) is for the way to O(encrypt).
    type: bool
  encrypt_verify_outgoing:
    description: Whether gossip is sent encrypted. Consul's default is V(true); V(false) is for the way to O(encrypt).
    type: bool
  tls_ca:
    description:
      - The certificates of the authorities to trust, in PEM. With it, servers and clients speak TLS with each other.
      - A node that trusts none of them so far but others is refused.
    type: str
  tls_certificate:
    description:
      - The node's certificate, in PEM. Required for servers with O(tls_ca), and then for C(server.DATACENTER.DOMAIN).
        A change is taken over without a restart.
      - A node with a certificate serves HTTPS, on port 8501 unless O(ports) says otherwise.
    type: str
  tls_key:
    description: The private key of O(tls_certificate), in PEM.
    type: str
  auto_encrypt:
    description: Servers sign certificates for clients, and clients have theirs signed. Needs O(tls_ca).
    type: bool
    default: false
  verify_incoming:
    description: Whether only who shows a certificate may call a server. V(true) with O(tls_ca) unless given; V(false) is for the way there.
    type: bool
  verify_outgoing:
    description: Whether calls go over TLS only. V(true) with O(tls_ca) unless given; V(false) is for the way there.
    type: bool
  verify_server_hostname:
    description:
      - Whether only who has a certificate for C(server.DATACENTER.DOMAIN) counts as a server. V(true) with O(tls_ca) unless
        given. Without it, anybody with a certificate can become a server and gets all data.
    type: bool
  acl_default_policy:
    description:
      - Turns ACLs on, and says what happens to calls that no rule allows. V(allow) is for the way to V(deny).
    type: str
    choices: [allow, deny]
  acl_management_token:
    description:
      - UUID of the token that may do everything. Servers make it when they have none, so no call to bootstrap is needed.
      - A node that has another one already is refused, because Consul would keep that one without a word.
    type: str
  acl_agent_token:
    description: UUID of the token that the agent uses for itself. It needs C(node:write) on its own name and C(service:read).
    type: str
  acl_dns_token:
    description:
      - UUID of the token that DNS queries are answered with. It needs C(node:read) and C(service:read) on what DNS may show.
      - Before Consul 1.17 it is also the token of HTTP calls that bring none.
    type: str
  acl_services_token:
    description:
      - UUID of the token that O(services) are registered with, those that name no C(token) of their own. It needs C(service:write) on their names,
        which a service identity gives.
    type: str
    version_added: "0.2.0"
  services:
    description:
      - Services that are no containers, like a database on the host or an appliance elsewhere, as Consul's own objects in a configuration -
        C(name), C(id), C(port), C(address), C(tags), C(meta), C(tagged_addresses), C(weights), C(enable_tag_override), C(token), and any number of
        C(checks), each of one kind - C(http), C(tcp), C(udp), C(grpc), C(h2ping), C(ttl), C(args), C(os_service) or C(alias_service).
      - A name is of lower-case letters, digits, dashes and underscores. The C(id) is the name when it is not given, and one of its kind on the node.
      - A service without an C(address) is found at the node's. Checks are run by the agent, so an agent in a container's own network needs
        addresses that are reached from there. Checks that are programs need O(enable_local_script_checks).
      - A change is taken over without a restart. What is not declared any more is taken out of the catalog, and nothing else.
    type: list
    elements: dict
    default: []
    version_added: "0.2.0"
  node_id:
    description: UUID of the node. The agent makes one and keeps it with its data, which is better.
    type: str
  node_meta:
    description: Key and value pairs that the catalog keeps with the node. Can be changed without a restart.
    type: dict
    default: {}
  log_level:
    description: How much the agent logs. Can be changed without a restart.
    type: str
    choices: [trace, debug, info, warn, err, error]
    default: info
  ui:
    description: Whether the node serves the web page.
    type: bool
    default: true
  recursors:
    description: DNS servers that answer what is not in the domain.
    type: list
    elements: str
    default: []
  server_rejoin_age_max:
    description:
      - How long a server may have been off and still start, like V(168h), which is Consul's own default. V(8760h), a year, when it is not given,
        so that hosts may be switched off. Releases before 1.15 know no such limit.
    type: str
    version_added: "0.2.0"
  skip_leave_on_interrupt:
    description: Do not leave the cluster on SIGINT. Consul's default is V(true) on servers and V(false) on clients.
    type: bool
  leave_on_terminate:
    description:
      - Leave the cluster on SIGTERM, which is how containers are stopped. Never on servers - stopping two of three
        would leave one voter alone. Consul's default is V(false) on servers and V(true) on clients.
    type: bool
  enable_syslog:
    description: Log to the host's syslog too. Refused where the host has no C(/dev/log). The facility is set with O(extra_config).
    type: bool
    default: false
  pid_file:
    description: Path in the container of a file with the agent's process id, below C(/tmp) or O(data_dir).
    type: str
  protocol:
    description: Version of the gossip protocol to speak. Only for upgrades from very old releases.
    type: int
    choices: [2, 3]
  raft_multiplier:
    description: Scales the timers of elections; V(1) is for production, V(5) for slow machines.
    type: int
    default: 1
  min_quorum:
    description:
      - Smallest number of servers that autopilot may leave when it removes dead ones. The number of servers is right.
      - Consul reads it only when a cluster is bootstrapped, so a change is written and restarts nothing. The module C(consul_autopilot) tells it
        to a running cluster.
    type: int
  disable_update_check:
    description: Do not ask HashiCorp for newer releases.
    type: bool
    default: true
  disable_remote_exec:
    description: Refuse C(consul exec).
    type: bool
    default: true
  enable_local_script_checks:
    description: Allow checks that run programs, from configuration files only.
    type: bool
    default: false
  extra_config:
    description:
      - Any other configuration, merged last, key by key, over what the options gave.
    type: dict
    default: {}
  config_dir:
    description: Folder on the Docker host for the configuration file. C(/etc/discovery.consul/NAME) when it is not given.
    type: path
  config_files:
    description:
      - Further configuration files (C(.json) or C(.hcl)) or folders on the Docker host, loaded after ours, in order.
      - They are copied into O(config_dir). Another content is taken over with a reload where Consul does so, else with a restart.
    type: list
    elements: path
    default: []
  data_dir:
    description: Where the agent keeps its state, in the container.
    type: str
    default: /consul/data
  data_volume:
    description:
      - Named volume, or absolute path on the Docker host, that is mounted at O(data_dir). C(NAME-data) when not given.
    type: str
  purge_data:
    description: With O(state=absent), remove the named data volume, too. The data are lost.
    type: bool
    default: false
  user:
    description: Numeric user and group that the agent runs as.
    type: str
    default: "100:1000"
  network:
    description:
      - V(host), which is right for one node per host, or the name of a network for several nodes on one host.
    type: str
    default: host
  network_subnet:
    description: Subnet to make O(network) with when it is missing, like V(172.30.0.0/24).
    type: str
  ipv4_address:
    description: The node's fixed address in O(network).
    type: str
  published_ports:
    description:
      - Ports of the host that lead to the container, C(ADDRESS:HOST_PORT:CONTAINER_PORT/PROTOCOL). Not with V(network=host).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: One server per host
  discovery.consul.consul_agent:
    node_name: server1
    image: hashicorp/consul:2.0.4
    server: true
    bootstrap_expect: 3
    bind_addr: 10.0.0.11
    advertise_addr: 10.0.0.11
    retry_join: [10.0.0.11, 10.0.0.12, 10.0.0.13]

- name: A client beside others on one host
  discovery.consul.consul_agent:
    node_name: node4
    image: hashicorp/consul:2.0.4
    network: consul
    network_subnet: 172.30.0.0/24
    ipv4_address: 172.30.0.14
    published_ports: ["127.0.0.1:11500:8500"]
    retry_join: [172.30.0.11, 172.30.0.12, 172.30.0.13]
"""

RETURN = r"""
plan:
  description: What was done, or would be done in check mode.
  returned: always
  type: dict
  contains:
    actions:
      description: The steps, in order - recover, create, update, stop, start, reload, restart, recreate or remove.
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
node_name:
  description: Name of the node.
  returned: always
  type: str
version:
  description: The release of Consul in the image.
  returned: when the image is on the engine
  type: str
  sample: 1.8.7
image:
  description: The image that the node has, O(image) or O(image_fallback).
  returned: when the image is on the engine
  type: str
  sample: hashicorp/consul:2.0.4
gossip_keys:
  description:
    - How many gossip keys the node has, as its data said before the run. None where it has no data yet or does not encrypt, one in a cluster that
      is settled, and more while a change of the key is not finished. No token is needed to know it.
  returned: when the image is on the engine
  type: int
  sample: 1
former_services:
  description: The ids of services that the node's configuration had before the run and does not have any more.
  returned: when the image is on the engine
  type: list
  elements: str
  sample: []
container_name:
  description: Name of the container.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.discovery.consul.plugins.module_utils._consul import config
from ansible_collections.discovery.consul.plugins.module_utils._consul.node import Node
from ansible_collections.discovery.consul.plugins.module_utils._docker.arguments import CONTAINER_ARGUMENTS
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.run import run

ARGUMENTS = {
    **CONTAINER_ARGUMENTS,
    "acl_agent_token": {"type": "str", "no_log": True},
    "acl_default_policy": {"type": "str", "choices": ["allow", "deny"]},
    "acl_dns_token": {"type": "str", "no_log": True},
    "acl_management_token": {"type": "str", "no_log": True},
    "acl_services_token": {"type": "str", "no_log": True},
    "addresses": {"type": "dict", "default": {}},
    "advertise_addr": {"type": "str"},
    "auto_encrypt": {"type": "bool", "default": False},
    "bind_addr": {"type": "str"},
    "bootstrap": {"type": "bool"},
    "bootstrap_expect": {"type": "int"},
    "client_addr": {"type": "str"},
    "config_dir": {"type": "path"},
    "config_files": {"type": "list", "elements": "path", "default": []},
    "data_dir": {"type": "str", "default": "/consul/data"},
    "data_volume": {"type": "str"},
    "datacenter": {"type": "str", "default": "dc1"},
    "disable_remote_exec": {"type": "bool", "default": True},
    "disable_update_check": {"type": "bool", "default": True},
    "domain": {"type": "str"},
    "enable_local_script_checks": {"type": "bool", "default": False},
    "enable_syslog": {"type": "bool", "default": False},
    "encrypt": {"type": "str", "no_log": True},
    "encrypt_verify_incoming": {"type": "bool"},
    "encrypt_verify_outgoing": {"type": "bool"},
    "extra_config": {"type": "dict", "default": {}},
    "ipv4_address": {"type": "str"},
    "join": {"type": "list", "elements": "str", "default": []},
    "leave_on_terminate": {"type": "bool"},
    "log_level": {"type": "str", "choices": ["trace", "debug", "info", "warn", "err", "error"], "default": "info"},
    "min_quorum": {"type": "int"},
    "network": {"type": "str", "default": "host"},
    "network_subnet": {"type": "str"},
    "node_id": {"type": "str"},
    "node_meta": {"type": "dict", "default": {}},
    "node_name": {"type": "str", "required": True},
    "pid_file": {"type": "str"},
    "ports": {"type": "dict", "default": {}},
    "protocol": {"type": "int", "choices": [2, 3]},
    "published_ports": {"type": "list", "elements": "str", "default": []},
    "purge_data": {"type": "bool", "default": False},
    "raft_multiplier": {"type": "int", "default": 1},
    "recursors": {"type": "list", "elements": "str", "default": []},
    "rejoin_after_leave": {"type": "bool"},
    "retry_interval": {"type": "str", "default": "2s"},
    "retry_join": {"type": "list", "elements": "str", "default": []},
    "retry_max": {"type": "int", "default": 0},
    "server": {"type": "bool", "default": False},
    "server_rejoin_age_max": {"type": "str"},
    "services": {"type": "list", "elements": "dict", "default": []},
    "skip_leave_on_interrupt": {"type": "bool"},
    "tls_ca": {"type": "str"},
    "tls_certificate": {"type": "str"},
    "tls_key": {"type": "str", "no_log": True},
    "ui": {"type": "bool", "default": True},
    "user": {"type": "str", "default": "100:1000"},
    "verify_incoming": {"type": "bool"},
    "verify_outgoing": {"type": "bool"},
    "verify_server_hostname": {"type": "bool"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", state, ["image"]) for state in ("started", "present", "stopped")],
    )
    module.no_log_values.update(config.secrets(module.params["extra_config"]), config.secrets({"services": module.params["services"]}))
    engine = Engine(module.params["docker_host"], module.params["engine_timeout"])
    run(module, lambda: Node(engine, module.params), config.warnings(module.params))


if __name__ == "__main__":
    main()
