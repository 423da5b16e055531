# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the address of a registration."""

from __future__ import annotations

import typing as t

Inspected = t.Mapping[str, t.Any]

ANY_ADDRESS = ("0.0.0.0", "::", "[::]")
CONTAINER_MODE = "container:"
# Engines before 26 call the default bridge "default" in a container's NetworkMode.
NETWORK_OF_MODE = {"default": "bridge", "": "bridge"}


class Chosen(t.NamedTuple):
    """An address, empty when the registry's own node address is best, and what the user should know about it."""

    address: str
    warnings: t.Tuple[str, ...] = ()


def network_mode(container: Inspected) -> str:
    return str((container.get("HostConfig") or {}).get("NetworkMode") or "")


def network_owner(container: Inspected) -> str:
    """Return the name or identifier of the container whose network this one shares, or an empty string."""
    mode = network_mode(container)
    return mode[len(CONTAINER_MODE) :] if mode.startswith(CONTAINER_MODE) else ""


def of_network(container: Inspected) -> str:
    """Return the container's own address: on its first network as the engine names it, else on the first by name."""
    settings = container.get("NetworkSettings") or {}
    networks = settings.get("Networks") or {}
    mode = network_mode(container)
    first = networks.get(NETWORK_OF_MODE.get(mode, mode)) or {}
    others = [networks[name] or {} for name in sorted(networks)]
    addresses = [settings.get("IPAddress"), first.get("IPAddress"), first.get("GlobalIPv6Address")]
    addresses += [network.get("IPAddress") for network in others] + [network.get("GlobalIPv6Address") for network in others]
    return next((str(address) for address in addresses if address), "")


def choose(container: Inspected, owner: t.Optional[Inspected], host_ip: str, *, internal: bool, ip: str, ip_label: str, host_address: str) -> Chosen:
    """Return the address for a port whose binding names ``host_ip``.

    The later wins: the binding (or, with ``internal``, the container's own address), ``ip``, the label ``ip_label``,
    the address of ``owner``, the container whose network is shared (None when it is not known or there is none).
    """
    warnings: t.List[str] = []
    if internal:
        address = of_network(container)
    elif ip:
        address = ip
    elif network_owner(container):
        address = ""
    else:
        address = host_ip or host_address
    if ip_label:
        text = str(((container.get("Config") or {}).get("Labels") or {}).get(ip_label) or "")
        address = text.rpartition("/")[0] or text or address
        if not text:
            warnings.append(f"Label '{ip_label}' not found in container configuration")
    if owner is not None:
        address = of_network(owner) or address or host_address
    return Chosen(host_address if address in ANY_ADDRESS else address, tuple(warnings))
