# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: join_addresses
short_description: Where the servers of an inventory can be joined
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Lists C(consul_agent_advertise_addr) of each server. A server whose address is looked up on it goes by the address that
    Ansible reaches it at, whether it was looked up in this run or not, so that the list is the same with C(--limit).
  - Facts of other hosts are not needed. A server that runs on the controller's own machine needs an address.
positional: hostvars
options:
  _input:
    description: Names of the inventory hosts that are servers.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what a node joins
  ansible.builtin.debug:
    msg: "{{ groups['consul_servers'] | discovery.consul.join_addresses(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Addresses or names, in the order of the input.
  type: list
  elements: str
"""

import typing as t


def join_addresses(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> list[str]:
    """An address or a name for each of `hosts` that has one."""
    return [address for address in (_address(host, hostvars[host]) for host in hosts) if address]


def _address(host: str, variables: t.Mapping[str, t.Any]) -> str:
    given = variables.get("consul_agent_advertise_addr")
    if given and not variables.get("consul_agent_address_found"):
        return str(given)
    if variables.get("ansible_connection") == "local":
        return str(given or "")
    return str(variables.get("ansible_host") or host)


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"join_addresses": join_addresses}
