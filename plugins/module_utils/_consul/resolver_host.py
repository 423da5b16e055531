# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What of a host decides how its resolver is told of Consul, as it is read there. `root` is another root folder, for tests."""

from __future__ import annotations

import fcntl
import glob
import os
import re
import socket
import struct
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.resolver import DNSMASQ, FILES, RESOLV_CONF, RESOLVED, UNBOUND, Host, Listener

Run = t.Callable[[t.List[str]], str]
"""What a command prints; an empty text when it fails or is not there."""

CONFIGURATION = {
    DNSMASQ: ("/etc/dnsmasq.conf", "/etc/dnsmasq.d/*"),
    UNBOUND: ("/etc/unbound/unbound.conf", "/etc/unbound/unbound.conf.d/*.conf"),
}
SIOCGIFADDR = 0x8915
DNS_PORT = "0035"
LISTENING = "07"
"""The state of a UDP socket that is bound to an address and no more, in /proc/net/udp."""


def read(run: Run, root: str = "/", bridge: str = "") -> Host:
    """Read the host, and the address of its network interface `bridge`."""
    path = os.path.join(root, RESOLV_CONF[1:])
    settings = {resolver: [pair for file in _files(root, resolver) for pair in parse_settings(text(file))] for resolver in CONFIGURATION}
    settings[RESOLVED] = parse_settings(text(os.path.join(root, FILES[RESOLVED][0][1:])))
    listeners = tuple(find_listeners(root))
    release = run(["systemctl", "--version"]) if os.path.isdir(os.path.join(root, "run/systemd/system")) else ""
    return Host(
        resolv_conf=text(path),
        link=os.path.realpath(path) if os.path.islink(path) else "",
        listeners=listeners,
        systemd=int((re.findall(r"^systemd (\d+)", release) or ["0"])[0]),
        resolved_servers=parse_servers(run(["resolvectl", "dns"])) if any("resolve" in one.program for one in listeners) else {},
        settings=settings,
        bridge=address_of(bridge) if bridge else "",
    )


def address_of(interface: str) -> str:
    """The IPv4 address of a network interface; nothing when it is not there or has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", interface[:15].encode()))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def former(paths: t.Iterable[str], root: str = "/") -> dict[str, str | None]:
    """What the role's files hold now, by path; None for those that are not there."""
    return {path: text(file) if os.path.lexists(file) else None for path in paths for file in [os.path.join(root, path[1:])]}


def text(path: str) -> str:
    """A file's content; nothing when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ""


def parse_servers(said: str) -> dict[str, list[str]]:
    """What `resolvectl dns` prints: `Global: 10.0.0.2`, `Link 2 (eth0): 10.0.0.3 10.0.0.4`."""
    found = {}
    for line in said.splitlines():
        name, colon, servers = line.partition(": " if ": " in line else ":")
        if colon and (name == "Global" or name.startswith("Link ")):
            found[name] = servers.split()
    return found


def parse_settings(configuration: str) -> list[tuple[str, str]]:
    """Keys and values of the lines of a file, like `key=value`, `key: value`, or `key` alone."""
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in configuration.splitlines())
    pairs = (re.split(r"\s*[=:]\s*", line, maxsplit=1) for line in lines if line)
    return [(pair[0], pair[1].strip('"') if len(pair) > 1 else "") for pair in pairs]


def find_listeners(root: str = "/") -> t.Iterator[Listener]:
    """Who has bound UDP port 53, and where. Programs of other users are seen by root alone."""
    wanted = {}
    for name in ("udp", "udp6"):
        for line in text(os.path.join(root, "proc/net", name)).splitlines()[1:]:
            words = line.split()
            address, _colon, port = words[1].partition(":")
            if port == DNS_PORT and words[3] == LISTENING:
                wanted[words[9]] = decode(address)
    for process in glob.glob(os.path.join(root, "proc/[0-9]*")) if wanted else []:
        for inode in _sockets(process) & wanted.keys():
            yield Listener(wanted[inode], text(os.path.join(process, "comm")).strip(), _unit(text(os.path.join(process, "cgroup"))))


def decode(address: str) -> str:
    """An address as /proc/net writes it: words of four bytes, each as the machine has it."""
    data = b"".join(struct.pack("=I", int(address[start : start + 8], 16)) for start in range(0, len(address), 8))
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def _sockets(process: str) -> set[str]:
    found = set()
    for descriptor in glob.glob(os.path.join(process, "fd/*")):
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
        except OSError:  # it has just been closed
            continue
        if match:
            found.add(match[1])
    return found


def _unit(cgroup: str) -> str:
    """The unit of systemd that a process belongs to. There may be other hierarchies, and containers around."""
    names = (name for line in cgroup.splitlines() for name in reversed(line.split("/")))
    return next((name for name in names if name.endswith(".service")), "")


def _files(root: str, resolver: str) -> list[str]:
    """The configuration of a resolver without what is ours."""
    ours = {os.path.join(root, path[1:]) for path in FILES[resolver]}
    return [path for pattern in CONFIGURATION[resolver] for path in sorted(glob.glob(os.path.join(root, pattern[1:]))) if path not in ours]
