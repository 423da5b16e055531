# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_address
short_description: The address of a host that the cluster's other nodes reach it at
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Finds the address in a host's own facts, by interface, by CIDR, or as the only private one that it has.
  - Bridges and other interfaces that container engines make are not looked at, unless they are named.
  - A host with several addresses to choose from is an error that lists them.
positional: host, interface, cidr
options:
  _input:
    description: The host's facts; the subset C(interfaces) is enough.
    type: dict
    required: true
  host:
    description: The host's name, for the error.
    type: str
    required: true
  interface:
    description: Name of the interface.
    type: str
    default: ""
  cidr:
    description: Network that the address is in.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Find the address in the network of the cluster
  ansible.builtin.set_fact:
    consul_agent_advertise_addr: "{{ ansible_facts | discovery.consul.cluster_address(inventory_hostname, cidr='10.0.0.0/24') }}"
"""

RETURN = r"""
_value:
  description: The address.
  type: str
"""

import ipaddress
import re
import typing as t

Facts = t.Mapping[str, t.Any]
Address = t.Tuple[str, str]

OF_ENGINES = re.compile(r"^(docker|br-|veth|virbr|cni|podman|flannel|cali|lxc|lxd)")
"""Interfaces that engines make for what runs on the host."""

OPTIONS = "consul_agent_advertise_addr, consul_agent_interface or consul_agent_cidr"


def cluster_address(facts: Facts, host: str, interface: str = "", cidr: str = "") -> str:
    """The one address that is meant; an error lists the addresses when none is, or several are."""
    found = list(_addresses(facts))
    all_of_them = _listed(found)
    if interface and interface not in (facts.get("interfaces") or []):
        raise ValueError(f"{host} has no interface {interface}, which consul_agent_interface names. It has {all_of_them}.")
    network = _network(cidr) if cidr else None
    if interface:
        found = [one for one in found if one[0] == interface]
    if network is not None:
        found = [one for one in found if ipaddress.ip_address(one[1]) in network]
    elif not interface:
        found = [one for one in found if _is_private(one[1]) and not OF_ENGINES.match(one[0])]
    if not found:
        wanted = " ".join((["on", interface] if interface else []) + (["in", cidr] if cidr else [])) or "that is private"
        raise ValueError(f"{host} has no address {wanted}; it has {all_of_them}. Say which one the cluster uses with {OPTIONS}.")
    # The first of an interface is its own; those after it come and go, like the addresses of fail-over pairs.
    if len(found) > 1 and (not interface or network is not None):
        raise ValueError(f"{host} has several addresses: {_listed(found)}. Say which one the cluster uses with {OPTIONS}.")
    return found[0][1]


def _addresses(facts: Facts) -> t.Iterator[Address]:
    """Interface and address, IPv4 first; what only the host itself can reach is left out."""
    for interface in facts.get("interfaces") or []:
        one = facts.get(re.sub(r"[-:]", "_", interface)) or {}
        groups = ([one["ipv4"]] if one.get("ipv4") else []) + (one.get("ipv4_secondaries") or []) + (one.get("ipv6") or [])
        for text in (str(group.get("address", "")) for group in groups):
            address = ipaddress.ip_address(text)
            if not address.is_loopback and not address.is_link_local:
                yield interface, text


def _is_private(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address.version == 4 and address.is_private


def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(cidr)
    except ValueError as exc:
        raise ValueError(f"consul_agent_cidr is no network: {exc}. Write it like 10.0.0.0/24.") from None


def _listed(addresses: list[Address]) -> str:
    return ", ".join(f"{address} on {interface}" for interface, address in addresses) or "no address"


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cluster_address": cluster_address}
