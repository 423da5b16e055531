# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A user-defined network with fixed addresses: made when it is missing, checked before a container joins it."""

from __future__ import annotations

import ipaddress
import time
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import MADE_LABEL

Json = t.Dict[str, t.Any]


def check(engine: Engine, name: str, subnet: str | None, address: str | None, container_names: t.Collection[str]) -> Json | None:
    """The live network, or None when it has to be made; EngineError when what is wanted of it cannot be."""
    _check_in_subnet(name, subnet, address)
    live = engine.network(name)
    if live is None:
        if subnet is None:
            raise EngineError(f"There is no network {name} on the Docker engine, and no subnet to make it with. Give network_subnet, or make the network.")
        return None
    subnets = [one.get("Subnet") for one in (live.get("IPAM") or {}).get("Config") or []]
    if subnet and subnet not in subnets:
        raise EngineError(
            f"The network {name} has the subnet {', '.join(filter(None, subnets)) or '(none)'}, not {subnet}. "
            "Give the one that it has, or stop the containers in it and remove it."
        )
    for one in subnets:
        _check_in_subnet(name, one, address)
    for container in (live.get("Containers") or {}).values():
        if address and container.get("IPv4Address", "").partition("/")[0] == address and container.get("Name") not in container_names:
            raise EngineError(f"The address {address} in the network {name} belongs to the container {container.get('Name')} already. Give each node its own.")
    return live


def create(engine: Engine, name: str, subnet: str) -> None:
    """Make the network, minding that another node's run may be making it in this very moment."""
    try:
        with engine.doing(f"make the network {name} with the subnet {subnet}"):
            engine.api.create_network(
                name,
                driver="bridge",
                check_duplicate=True,
                labels={MADE_LABEL: "network"},
                ipam={"Driver": "default", "Config": [{"Subnet": subnet}]},
            )
    except EngineError:
        if not _appears(engine, name):
            raise


def _appears(engine: Engine, name: str, seconds: float = 3) -> bool:
    """Whether another run's network comes up: the engine refuses its subnet a moment before it shows its name."""
    deadline = time.monotonic() + seconds
    while engine.network(name) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def remove_unused(engine: Engine, name: str, tries: int = 5) -> bool:
    """Remove a network that this collection made, once nothing is in it; whether it was removed.

    Other nodes' runs may be leaving or removing it in this very moment, so what the engine refuses is looked at again.
    """
    live = engine.network(name)
    if live is None or MADE_LABEL not in (live.get("Labels") or {}) or live.get("Containers"):
        return False
    try:
        with engine.doing(f"remove the network {name}"):
            engine.api.remove_network(name)
    except EngineError:
        if tries <= 1:
            raise
        time.sleep(0.3)
        return remove_unused(engine, name, tries - 1)
    return True


def _check_in_subnet(name: str, subnet: str | None, address: str | None) -> None:
    try:
        inside = not subnet or not address or ipaddress.ip_address(address) in ipaddress.ip_network(subnet)
    except ValueError as exc:
        raise EngineError(
            f"The network {name} cannot have the subnet {subnet} and the address {address}: {exc}. Write them like 172.30.0.0/24 and 172.30.0.11."
        ) from exc
    if not inside:
        raise EngineError(f"The address {address} is not in the network {name}, whose subnet is {subnet}. Give an address of that subnet.")
