# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Where each node of an inventory is found: its name, its addresses, its folder. This is the one place that derives them.

A host that takes part in a play has its own view in the fact `consul_agent_node`, which the role consul_agent sets from all of its
options. Any other host is judged by the variables of the inventory alone.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

Json = t.Dict[str, t.Any]
Variables = t.Mapping[str, t.Any]

FACT = "consul_agent_node"
PREFIX = "consul_agent_"
CONFIG_ROOT = "/etc/discovery.consul"
HTTP, HTTPS = 8500, 8501
ANY = ("0.0.0.0", "::", "[::]")
LOOPBACK = "127.0.0.1"


def node_name(host: str) -> str:
    """The default name of a host's node: the first label of a domain name, and an address with dashes, since Consul takes no dots."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.partition(".")[0]
    return re.sub(r"[.:]+", "-", host)


def find(host: str, variables: Variables, server: bool) -> Json:
    """The node of a host: from its fact where there is one, or else from the variables of the inventory."""
    return variables.get(FACT) or derive(host, variables, server)


def derive(host: str, variables: Variables, server: bool) -> Json:
    """What the options of a node say about where it is found.

    `variables` holds options under their full names. The result has `host`, `name`, `address` (which other nodes use; an empty text
    when only the host itself knows it), `http` and `dns` (as its Docker host reaches them), `container_name`, `config_dir`, `ca` (the file
    with the authorities to trust, on its Docker host), and `addresses` and `client_addr` as they go into its configuration.
    """

    def given(option: str) -> t.Any:
        return variables.get(PREFIX + option)

    name = str(given("node_name") or node_name(host))
    container = str(given("container_name") or name)
    folder = str(given("config_dir") or f"{CONFIG_ROOT}/{container}")
    address = _address(given)
    listen = _listen(given, address, server)
    return {
        "host": host,
        "name": name,
        "address": address,
        "http": str(given("http_url") or _http_url(given, listen, address or str(variables.get("ansible_host") or host), server)),
        "dns": str(given("dns_endpoint") or ""),
        "container_name": container,
        "config_dir": folder,
        "ca": f"{folder}/ca.pem",
        **listen,
    }


def is_open(security: str | None, secure_step: t.Any) -> bool:
    """Whether the node answers over plain HTTP to whoever reaches it: below level full, and on the way there."""
    return (security or "full") != "full" or bool(secure_step)


Given = t.Callable[[str], t.Any]


def _address(given: Given) -> str:
    for option in ("advertise_addr", "ipv4_address", "bind_addr"):
        address = str(given(option) or "")
        if address and address not in ANY and "{{" not in address:
            return address
    return ""


def _on_host_network(given: Given) -> bool:
    return (given("network") or "host") == "host"


def _listen(given: Given, address: str, server: bool) -> Json:
    """Where HTTP and HTTPS listen. A server on the host's network is asked by the others' hosts, so it listens on its address too."""
    addresses, client = dict(given("addresses") or {}), given("client_addr")
    if server and _on_host_network(given) and address and not client:
        if is_open(given("security"), given("secure_step")):
            client = f"{LOOPBACK} {address}"
        elif "https" not in addresses:
            addresses["https"] = f"{LOOPBACK} {address}"
    return {"addresses": addresses, "client_addr": client or None}


def _ports(given: Given, server: bool) -> tuple[int, int]:
    ports = {**(given("ports") or {}), **((given("extra_config") or {}).get("ports") or {})}
    secure = (given("security") or "full") == "full" and not given("secure_step")
    return int(ports.get("http", HTTP)), int(ports.get("https", HTTPS if secure and server else -1))


def _http_url(given: Given, listen: Json, address: str, server: bool) -> str:
    """Where the node's HTTP interface is reached: by other hosts where it listens for them, or else on its own host."""
    http, https = _ports(given, server)
    choices = [("https", https), ("http", http)]
    if not _on_host_network(given):
        return _published_url(given, choices, address)
    for scheme, port in choices:
        for heard in str(listen["addresses"].get(scheme) or listen["client_addr"] or LOOPBACK).split():
            if port > 0 and "/" not in heard and not _is_loopback(heard):
                return f"{scheme}://{_in_url(address if heard in ANY else heard)}:{port}"
    scheme, port = ("http", http) if http > 0 else ("https", https)
    return f"{scheme}://{LOOPBACK}:{port}"


def _published_url(given: Given, choices: list[tuple[str, int]], address: str) -> str:
    """The published port of a container in a network of its own, or the container's address where none is published."""
    published = {}
    for entry in given("published_ports") or []:
        host_part, _colon, container_port = str(entry).partition("/")[0].rpartition(":")
        host_address, _colon, host_port = host_part.rpartition(":")
        if host_port:
            published[container_port] = f"{_in_url(LOOPBACK if host_address in ('', *ANY) else host_address)}:{host_port}"
    scheme, port = next(((scheme, port) for scheme, port in reversed(choices) if str(port) in published), choices[-1] if choices[-1][1] > 0 else choices[0])
    return f"{scheme}://{published.get(str(port)) or f'{_in_url(address)}:{port}'}"


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return text == "localhost"


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
