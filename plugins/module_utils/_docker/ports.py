# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Who holds a port of this host: a container, or a process by name."""

from __future__ import annotations

import glob
import ipaddress
import os
import re
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine

Json = t.Dict[str, t.Any]

LISTEN = "0A"


class Port(t.NamedTuple):
    """A port of this host: address (`0.0.0.0` for all), number, `tcp` or `udp`."""

    ip: str
    number: int
    protocol: str

    def overlaps(self, other: Port) -> bool:
        everywhere = ("0.0.0.0", "::", "")
        same_place = self.ip == other.ip or self.ip in everywhere or other.ip in everywhere
        return self.number == other.number and self.protocol == other.protocol and same_place

    def __str__(self) -> str:
        return f"{self.ip}:{self.number}/{self.protocol}"


def wanted_ports(bindings: Json) -> list[Port]:
    """The host's ports in the engine's PortBindings, without those that the engine chooses."""
    return [
        Port(binding.get("HostIp") or "0.0.0.0", int(binding["HostPort"]), port.partition("/")[2] or "tcp")
        for port, all_bindings in bindings.items()
        for binding in all_bindings or []
        if str(binding.get("HostPort", "")).isdigit()
    ]


def conflicts(engine: Engine, wanted: list[Port], own_names: t.Collection[str]) -> list[str]:
    """For each wanted port that somebody else holds, a sentence that says who. Containers in `own_names` may hold them."""
    if not wanted:
        return []
    held, mine = _held_by_containers(engine.containers(), own_names)
    found = []
    for port in wanted:
        holder = next((name for other, name in held if port.overlaps(other)), None)
        if holder is None and not any(port.overlaps(other) for other in mine):
            holder = next((process for other, process in _held_by_processes(port) if port.overlaps(other)), None)
        if holder:
            found.append(f"{port} is held by {holder}")
    return found


def listening(number: int, process: int) -> list[str]:
    """The addresses at which something listens on a TCP port, in the network that a process of this machine is in."""
    return [address for address, port, _inode in _sockets("tcp", f"/proc/{process}/net") if port == number]


def _held_by_containers(containers: list[Json], own_names: t.Collection[str]) -> tuple[list[tuple[Port, str]], list[Port]]:
    held, mine = [], []
    for container in containers:
        name = container["Names"][0].lstrip("/")
        for one in container.get("Ports") or []:
            if one.get("PublicPort"):
                port = Port(one.get("IP") or "0.0.0.0", one["PublicPort"], one["Type"])
                if name in own_names:
                    mine.append(port)
                else:
                    held.append((port, f"the container {name}"))
    return held, mine


def _held_by_processes(port: Port) -> t.Iterator[tuple[Port, str]]:
    for address, number, inode in _sockets(port.protocol, "/proc/net"):
        if number == port.number:
            yield Port(address, number, port.protocol), _process(inode)


def _sockets(protocol: str, tables: str) -> t.Iterator[tuple[str, int, str]]:
    """Address, port and inode of every socket that waits for somebody."""
    for suffix in ("", "6"):
        try:
            with open(f"{tables}/{protocol}{suffix}", encoding="ascii") as table:
                lines = table.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            address, _colon, number = columns[1].partition(":")
            if protocol == "udp" or columns[3] == LISTEN:
                yield _address(address), int(number, 16), columns[9]


def _address(text: str) -> str:
    raw = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _process(inode: str) -> str:
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(path) == f"socket:[{inode}]":
                pid = path.split("/")[2]
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    return f"the process {re.sub(r'[^ -~]', '?', comm.read().strip())} (pid {pid})"
        except OSError:
            continue
    return "another process"
