# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that make no container, ports that somebody holds, and the hardening that ships."""

from __future__ import annotations

import os
import socket
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._docker import ports
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import ContainerSpec, SpecError, numeric_user, port_bindings, size
from fake_engine import FakeEngine


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("127.0.0.1:8500:8500/tcp", {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8500"}]}),
        ("9600:8600/udp", {"8600/udp": [{"HostIp": "", "HostPort": "9600"}]}),
        ("[::1]:1:2", {"2/tcp": [{"HostIp": "::1", "HostPort": "1"}]}),
    ],
)
def test_ports_are_read(text: str, bindings: dict[str, t.Any]) -> None:
    assert port_bindings([text]) == bindings


@pytest.mark.parametrize("text", ["8500", "a:b", "1:2/sctp", "1.2.3.4:1"])
def test_bad_ports_are_a_sentence(text: str) -> None:
    with pytest.raises(SpecError, match="Write it like"):
        port_bindings([text])


def test_sizes() -> None:
    assert [size(text) for text in ("5", "1k", "512m", "2G")] == [5, 1024, 512 * 1024**2, 2 * 1024**3]
    with pytest.raises(SpecError, match="is no size"):
        size("much")


@pytest.mark.parametrize("text", ["consul", "100", "a:b", ""])
def test_a_user_is_numbers(text: str) -> None:
    assert numeric_user("100:1000") == (100, 1000)
    with pytest.raises(SpecError, match="is not UID:GID in numbers"):
        numeric_user(text)


def test_hardened_means_no_rights_at_all() -> None:
    host = ContainerSpec(image="i", entrypoint=[], command=[]).as_container()["HostConfig"]
    assert (host["CapDrop"], host["SecurityOpt"], host["ReadonlyRootfs"], host["Init"]) == (["ALL"], ["no-new-privileges"], True, True)
    assert "Privileged" not in host


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")])
def test_a_taken_port_is_named_with_its_process(fake: FakeEngine, kind: socket.SocketKind, protocol: str) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        number = taken.getsockname()[1]
        wanted = ports.Port("0.0.0.0", number, protocol)
        (found,) = ports.conflicts(Engine(fake.host), [wanted], ())
        assert found.startswith(f"0.0.0.0:{number}/{protocol} is held by the process ")
        assert f"(pid {os.getpid()})" in found
        assert ports.conflicts(Engine(fake.host), [wanted._replace(ip="127.0.0.2")], ()) == []
    assert ports.conflicts(Engine(fake.host), [wanted], ()) == []
