# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the address of a registration."""

from __future__ import annotations

import re
import typing as t

Inspected = t.Mapping[str, t.Any]

ANY_ADDRESS = ("0.0.0.0", "::", "[::]")
CONTAINER_MODE = "container:"
NETWORK_LABEL = "registrator.network"
# An address goes into URLs and paths, so what a label says must be an IP address or a host's name.
ADDRESS = re.compile(r"[A-Za-z0-9:][A-Za-z0-9:._-]{0,252}")
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


def label(container: Inspected, name: str) -> str:
    return str(((container.get("Config") or {}).get("Labels") or {}).get(name) or "")


def of_network(container: Inspected) -> str:
    """Return the container's own address.

    It is the one on the network that the label ``registrator.network`` names, else on the network that the engine
    names as the container's, else on the first by name; IPv6 where a network has no IPv4.
    """
    settings = container.get("NetworkSettings") or {}
    networks = settings.get("Networks") or {}
    chosen = label(container, NETWORK_LABEL)
    if chosen in networks:
        return _address_on(networks[chosen])
    mode = network_mode(container)
    first = networks.get(NETWORK_OF_MODE.get(mode, mode))
    addresses = [str(settings.get("IPAddress") or ""), _address_on(first), *(_address_on(networks[name]) for name in sorted(networks))]
    return next((address for address in addresses if address), "")


def _address_on(network: t.Optional[t.Mapping[str, t.Any]]) -> str:
    return str((network or {}).get("IPAddress") or (network or {}).get("GlobalIPv6Address") or "")


def choose(container: Inspected, owner: t.Optional[Inspected], host_ip: str, *, internal: bool, ip: str, ip_label: str, host_address: str) -> Chosen:
    """Return the address for a port whose binding names ``host_ip``.

    The later wins: the binding (or, with ``internal``, the container's own address), ``ip``, the label ``ip_label``,
    the address of ``owner``, the container whose network is shared (None when it is not known or there is none).
    """
    warnings: t.List[str] = []
    if internal:
        address = of_network(container)
        chosen = label(container, NETWORK_LABEL)
        if chosen and chosen not in ((container.get("NetworkSettings") or {}).get("Networks") or {}):
            warnings.append(f"{NETWORK_LABEL}={chosen} is not a network of this container")
    elif ip:
        address = ip
    elif network_owner(container):
        address = ""
    else:
        address = host_ip or host_address
    if ip_label:
        text = label(container, ip_label)
        named = text.rpartition("/")[0] or text
        if not text:
            warnings.append(f"Label '{ip_label}' not found in container configuration")
        elif not ADDRESS.fullmatch(named):
            warnings.append(f"Label '{ip_label}' holds no address: left out")
        else:
            address = named
    if owner is not None:
        address = of_network(owner) or address or host_address
    return Chosen(host_address if address in ANY_ADDRESS else address, tuple(warnings))
