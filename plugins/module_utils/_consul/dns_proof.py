# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The proof that names are found: over UDP, over TCP and as programs ask, on a host and in a container."""

from __future__ import annotations

import os
import socket
import time
import typing as t
from contextlib import contextmanager

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer
from ansible_collections.discovery.consul.plugins.module_utils._consul.dns import lookup
from ansible_collections.discovery.consul.plugins.module_utils._consul.resolver import RESOLV_CONF, nameservers
from ansible_collections.discovery.consul.plugins.module_utils._consul.resolver_host import text
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import MADE_LABEL

Json = t.Dict[str, t.Any]
Ask = t.Callable[[str, str, str, float], Answer]

POLL = 0.5
LIFE = "600"
"""How many seconds a container of the proof lives when nobody removes it."""


class ProofError(OperatorError):
    """What could not be asked at all."""


def ask(server: str, name: str, transport: str, timeout: float) -> Answer:
    """The addresses of a name. One that has only addresses of IPv6 is as good."""
    if transport == "libc":
        return ask_library(name)
    answer = lookup(server, name, ["A"], transport, timeout)
    return answer if answer.error or answer.data else lookup(server, name, ["AAAA"], transport, timeout)


def ask_library(name: str) -> Answer:
    """What programs get that ask the C library, with all that /etc/nsswitch.conf says. Each name is asked for as it is, without a search."""
    try:
        found = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)
    except OSError as exc:
        return Answer(url=name, error=str(exc))
    return Answer(url=name, status=200, data=sorted({str(one[4][0]) for one in found}))


def prove(server: str, names: t.Sequence[str], transports: t.Sequence[str], seconds: float, timeout: float, asks: Ask = ask) -> list[Json]:
    """One row for each name and transport. What is not found is asked for again until `seconds` are over."""
    deadline = time.monotonic() + seconds
    rows: list[Json] = [{"name": name, "transport": transport, "addresses": [], "error": "not asked"} for name in names for transport in transports]
    while True:
        for row in rows:
            if row["error"]:
                answer = asks(server, row["name"], row["transport"], timeout)
                row["addresses"] = answer.data or []
                row["error"] = answer.error or ("" if row["addresses"] else "no address")
        if not any(row["error"] for row in rows) or time.monotonic() >= deadline:
            return rows
        time.sleep(POLL)


def verdict(rows: t.Sequence[Json], server: str, place: str) -> str:
    """What of the proof failed, as a sentence; nothing when all of it holds."""
    how = {"udp": f"over UDP from {server}", "tcp": f"over TCP from {server}", "libc": "by the C library"}
    failed = [f"{row['name']} is not found {how[row['transport']]} ({row['error']})" for row in rows if row["error"]]
    return f"{place}: {'; '.join(failed)}." if failed else ""


def first_server(resolv_conf: str, where: str) -> str:
    """The server that programs ask first, with its port."""
    found = nameservers(resolv_conf)
    if not found:
        raise ProofError(f"{where} names no server to ask.")
    return f"[{found[0]}]:53" if ":" in found[0] else f"{found[0]}:53"


def on_host() -> str:
    """The server that the programs of the host ask."""
    return first_server(text(RESOLV_CONF), RESOLV_CONF)


@contextmanager
def in_container(engine: Engine, image: str) -> t.Iterator[str]:
    """Be in the network of a container that is made for it and removed again; the server that its programs ask.

    Only the network is entered, so the image needs nothing but `sleep`.
    """
    with engine.doing(f"start a container of {image} to ask names in"):
        body = {
            "Image": image,
            "Entrypoint": ["sleep"],
            "Cmd": [LIFE],
            "User": "65534",
            "Labels": {MADE_LABEL: "throwaway"},
            "HostConfig": {"NetworkMode": "bridge", "CapDrop": ["ALL"], "ReadonlyRootfs": True, "SecurityOpt": ["no-new-privileges"]},
        }
        container = engine.api.create_container_from_config(body)["Id"]
    try:
        with engine.doing(f"start a container of {image} to ask names in"):
            engine.api.start(container)
            found = engine.api.inspect_container(container)
        if not found["State"]["Pid"]:
            raise ProofError(f"A container of {image} ends at once, so nothing can be asked in it. Name another image, with a program called sleep.")
        server = first_server(text(found["ResolvConfPath"]), f"The resolv.conf of a container of {image}")
        with network_of(found["State"]["Pid"]):
            yield server
    finally:
        with engine.doing("remove the container that names were asked in"):
            engine.api.remove_container(container, force=True, v=True)


@contextmanager
def network_of(process: int) -> t.Iterator[None]:
    """Be in the network of another process of this machine."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        other = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        try:
            _enter(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _enter(own)
    finally:
        os.close(own)


def _enter(namespace: int) -> None:
    """`os.setns`, which Python has from 3.12 on."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, 0x40000000):  # CLONE_NEWNET
        number = ctypes.get_errno()
        raise ProofError(f"The network of a container cannot be entered ({os.strerror(number)}). Run with become: true, on the machine of the engine.")


def an_image(engine: Engine, wanted: t.Sequence[str]) -> str:
    """The first image of `wanted` that the engine holds, or that of a container that runs."""
    for image in wanted:
        if engine.image(image):
            return image
    running = engine.api.containers()
    if not running:
        raise ProofError(f"The engine holds none of the images {', '.join(wanted) or '(none is named)'}, and runs no container whose image would do.")
    return str(running[0]["ImageID"])
