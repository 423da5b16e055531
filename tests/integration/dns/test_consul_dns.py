# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role consul_dns on a host with systemd: each resolver, a real Consul, an upstream resolver of the test, and an engine."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t
import uuid

import pytest
from hosts import SystemdHost

IMAGE = os.environ.get("TEST_DNS_HOST_IMAGE", "")
OUTSIDE, THERE = "outside.example", "192.0.2.80"
INSIDE, AGENT = "consul.service.consul", "10.99.0.1"
# Where the bridge is by default, there is the network of this machine's engine.
BRIDGE = "172.29.0.1"
OURS = "find /etc -name '*discovery-consul*' -o -name 'consul-dns*' | sort"

# How a host comes to have a resolver. The last one is a host whose servers are all elsewhere.
RESOLVERS = {
    "systemd-resolved": (
        "umount /etc/resolv.conf; ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf && systemctl enable --now systemd-resolved && "
        "busctl call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig && systemctl restart systemd-resolved && resolvectl dns eth0 UPSTREAM"
    ),
    "dnsmasq": (
        "printf 'no-resolv\\nserver=UPSTREAM\\nlisten-address=127.0.0.1\\nbind-dynamic\\n' > /etc/dnsmasq.conf && systemctl enable --now dnsmasq && "
        "echo nameserver 127.0.0.1 > /etc/resolv.conf"
    ),
    "unbound": (
        "printf 'server:\\n  do-ip6: no\\nforward-zone:\\n  name: .\\n  forward-addr: UPSTREAM\\n' > /etc/unbound/unbound.conf.d/site.conf && "
        "systemctl enable --now unbound && echo nameserver 127.0.0.1 > /etc/resolv.conf"
    ),
    "own": "printf 'search site.example\\nnameserver UPSTREAM\\n' > /etc/resolv.conf",
}

pytestmark = pytest.mark.skipif(not IMAGE, reason="TEST_DNS_HOST_IMAGE is not set")


class Upstream:
    """A resolver on another machine, that knows one name."""

    def __init__(self) -> None:
        command = f"dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --no-resolv --no-hosts --address=/{OUTSIDE}/{THERE}"
        self.container = docker("run", "--detach", f"--name=dns-upstream-{uuid.uuid4().hex[:8]}", IMAGE, *command.split())
        self.address = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", self.container)


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


class DnsHost(SystemdHost):
    def __init__(self, folder: pathlib.Path, upstream: Upstream) -> None:
        self.upstream = upstream
        super().__init__(folder, IMAGE, "dns", "--volume=/var/lib/docker", python="/opt/discovery.consul/venv/bin/python")

    def prepare(self, resolver: str) -> None:
        self.until("systemctl is-system-running", "running")
        self.run(f"ip address add {AGENT}/32 dev lo")
        self.run_consul({"advertise_addr": AGENT})
        self.run(RESOLVERS[resolver].replace("UPSTREAM", self.upstream.address))
        self.run(f'mkdir -p /etc/docker && echo \'{{ "bip": "{BRIDGE}/16" }}\' > /etc/docker/daemon.json')
        self.until(f"getent hosts {OUTSIDE}", THERE)

    def play(self, *words: str, entry: str = "main", **variables: t.Any) -> t.Tuple[int, int, str]:
        own = {
            "consul_dns_outside_name": OUTSIDE,
            "consul_dns_containers": "before_start",
            "consul_dns_bridge_address": BRIDGE,
            "consul_dns_proof_seconds": 5,
            "consul_dns_container_images": ["tiny"],
        }
        own.update(variables)
        return self.play_role("consul_dns", own, *words, entry=entry)

    def state(self) -> str:
        """All that the role might change."""
        return self.run(f"{OURS}; cat $({OURS}) /etc/resolv.conf /etc/docker/daemon.json 2>/dev/null; ls -l /etc/resolv.conf | cut -c 1-10")

    def start_engine(self) -> None:
        """With an image that has nothing but what asks for names."""
        self.run("systemctl enable --now docker")
        self.until("docker info --format '{{.ServerVersion}}'", ".")
        self.run("tar -ch /usr/bin/sleep /usr/bin/getent $(ldd /usr/bin/getent | grep -o '/lib[^ ]*') 2>/dev/null | docker import - tiny")

    def in_container(self, name: str) -> str:
        return self.run(f"docker run --rm tiny getent hosts {name}")


@pytest.fixture
def upstream() -> t.Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    docker("rm", "--force", "--volumes", upstream.container)


@pytest.fixture
def host(tmp_path: pathlib.Path, upstream: Upstream) -> t.Iterator[DnsHost]:
    host = DnsHost(tmp_path, upstream)
    try:
        yield host
    finally:
        host.remove()


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_names_are_found_on_a_host_and_in_its_containers(host: DnsHost, resolver: str) -> None:
    host.prepare(resolver)
    untouched = host.state()
    code, changed, said = host.play("--check")
    assert code == 0 and changed > 0 and host.state() == untouched, said

    # Before the engine's first start, so that it need not be restarted. Its bridge is not there yet.
    code, changed, said = host.play(entry="before_engine")
    assert code == 0, said
    assert json.loads(host.run("cat /etc/docker/daemon.json")) == {"bip": f"{BRIDGE}/16", "dns": [BRIDGE]}
    host.start_engine()
    started = host.run("systemctl show --value --property=ExecMainPID docker")
    code, changed, said = host.play()
    assert (code, changed) == (0, 0), said
    assert host.run("systemctl show --value --property=ExecMainPID docker") == started
    assert AGENT in host.run(f"getent hosts {INSIDE}") and THERE in host.run(f"getent hosts {OUTSIDE}")
    assert AGENT in host.in_container(INSIDE) and THERE in host.in_container(OUTSIDE)
    assert host.run("docker ps --all --quiet") == ""
    assert resolver == "systemd-resolved" or host.run("systemctl is-active systemd-resolved") == "inactive"

    # Where no agent answers, what was there before is put back, and goes on.
    good = host.state()
    code, changed, said = host.play(consul_dns_servers=["127.0.0.1:8699"])
    words = re.sub(r"\s+", " ", said)
    assert code != 0 and "what was there before has been put back" in words and f"{INSIDE} is not found over UDP" in words, said
    assert host.state() == good
    assert AGENT in host.run(f"getent hosts {INSIDE}") and THERE in host.run(f"getent hosts {OUTSIDE}")

    code, changed, said = host.play(consul_dns_state="absent")
    assert code == 0, said
    assert host.run(OURS) == ""
    assert INSIDE not in host.run(f"getent hosts {INSIDE}") and THERE in host.run(f"getent hosts {OUTSIDE}")
    assert host.state().split() == untouched.split()
    assert host.play("--check", consul_dns_state="absent")[:2] == (0, 0)
    if resolver == "systemd-resolved":
        assert host.run("systemctl is-active systemd-resolved") == "active"


def test_an_engine_is_never_restarted_where_that_stops_a_container(host: DnsHost) -> None:
    host.prepare("own")
    host.start_engine()
    host.run("docker run --detach --name runs tiny sleep infinity")
    running = "systemctl show --value --property=ExecMainPID docker; docker inspect --format '{{.State.StartedAt}}' runs"
    before = host.run(running)
    code, changed, said = host.play()
    assert code == 0 and changed > 0 and "would have to be restarted, so it is left as it is" in re.sub(r"\s+", " ", said), said
    assert host.run(running) == before
    assert AGENT in host.run(f"getent hosts {INSIDE}")
    assert AGENT in host.run(f"docker run --rm --dns {BRIDGE} tiny getent hosts {INSIDE}") and AGENT not in host.in_container(INSIDE)

    # One that keeps its containers meanwhile may be, when that is asked for.
    host.run(f'echo \'{{ "bip": "{BRIDGE}/16", "live-restore": true }}\' > /etc/docker/daemon.json; systemctl reload docker')
    host.until("docker info --format '{{.LiveRestoreEnabled}}'", "true")
    code, changed, said = host.play(consul_dns_containers="live_restore")
    assert code == 0 and changed > 0, said
    assert host.run(running).split()[1] == before.split()[1] and host.run(running).split()[0] != before.split()[0]
    assert AGENT in host.in_container(INSIDE)

    # Containers are not left with a resolver that does not answer.
    state = host.state()
    code, changed, said = host.play(consul_dns_state="absent")
    assert code != 0 and "Nothing was changed. Stop them" in re.sub(r"\s+", " ", said) and host.state() == state, said
    host.run("docker rm --force runs")
    assert host.play(consul_dns_state="absent")[0] == 0
    assert host.run(OURS) == "" and "dns" not in host.run("cat /etc/docker/daemon.json")
