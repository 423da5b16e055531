# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of a host: a root folder of the test's own, as Linux and the resolvers write such files."""

from __future__ import annotations

import pathlib
import sys

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import resolver_host
from ansible_collections.discovery.consul.plugins.module_utils._consul.resolver import Listener

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the addresses below are as such a machine writes them")

UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  412: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   100        0 771 2 0000000000000000 0
  413: 0100007F:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 772 2 0000000000000000 0
  414: 0100007F:9999 0200000A:0035 01 00000000:00000000 00:00000000 00000000     0        0 773 2 0000000000000000 0
"""
UDP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref
  900: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   100        0 774 2
"""


def put(root: pathlib.Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def process(root: pathlib.Path, number: int, name: str, cgroup: str, *inodes: int) -> None:
    put(root, f"proc/{number}/comm", name + "\n")
    put(root, f"proc/{number}/cgroup", cgroup)
    (root / f"proc/{number}/fd").mkdir()
    for inode in inodes:
        (root / f"proc/{number}/fd/{inode}").symlink_to(f"socket:[{inode}]")


def test_who_answers_where_is_read_with_the_unit(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "proc/net/udp", UDP)
    put(tmp_path, "proc/net/udp6", UDP6)
    process(tmp_path, 20, "systemd-resolve", "2:cpu:/\n1:name=systemd:/docker/0a/system.slice/systemd-resolved.service\n", 771, 772)
    process(tmp_path, 30, "unbound", "0::/system.slice/unbound.service\n", 774)
    process(tmp_path, 40, "dig", "0::/user.slice\n", 773)
    assert sorted(resolver_host.find_listeners(str(tmp_path)), key=lambda one: one.address) == [
        Listener("127.0.0.53", "systemd-resolve", "systemd-resolved.service"),
        Listener("::1", "unbound", "unbound.service"),
    ]


def test_a_host_without_any_of_it_is_read(tmp_path: pathlib.Path) -> None:
    host = resolver_host.read(lambda _command: "", str(tmp_path))
    assert (host.resolv_conf, host.link, host.listeners, host.systemd) == ("", "", (), 0)


def test_a_whole_host(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    put(tmp_path, "run/stub", "nameserver 127.0.0.53\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").symlink_to(tmp_path / "run/stub")
    put(tmp_path, "etc/dnsmasq.conf", "# interface=eth9\nlisten-address=127.0.0.1 # loopback\nbind-dynamic\n")
    put(tmp_path, "etc/dnsmasq.d/discovery-consul.conf", "interface=ours\n")
    put(tmp_path, "etc/unbound/unbound.conf.d/a.conf", 'server:\n    interface: 127.0.0.1@53\n    domain-insecure: "x"\n')
    put(tmp_path, "proc/net/udp", UDP)
    process(tmp_path, 20, "systemd-resolve", "1:name=systemd:/system.slice/systemd-resolved.service\n", 771)
    said = {"systemctl": "systemd 252 (252.39-1~deb12u1)\n+PAM\n", "resolvectl": "Global:\nLink 2 (eth0): 10.0.0.2 fd00::2\nLink 3 (docker0):\n"}
    host = resolver_host.read(lambda command: said[command[0]], str(tmp_path))
    assert (host.resolv_conf, host.link, host.systemd) == ("nameserver 127.0.0.53\n", str(tmp_path / "run/stub"), 252)
    assert host.resolved_servers == {"Global": [], "Link 2 (eth0)": ["10.0.0.2", "fd00::2"], "Link 3 (docker0)": []}
    assert list(host.settings["dnsmasq"]) == [("listen-address", "127.0.0.1"), ("bind-dynamic", "")]
    assert ("interface", "127.0.0.1@53") in host.settings["unbound"] and ("domain-insecure", "x") in host.settings["unbound"]


def test_the_address_of_an_interface_is_read_where_it_is_there() -> None:
    assert resolver_host.address_of("lo") == "127.0.0.1"
    assert resolver_host.address_of("no-such-bridge-at-all") == ""


def test_what_the_files_hold_is_told_from_their_absence(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "etc/a", "")
    assert resolver_host.former(["/etc/a", "/etc/b"], str(tmp_path)) == {"/etc/a": "", "/etc/b": None}
