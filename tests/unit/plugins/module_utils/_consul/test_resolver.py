# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which resolver a host has, and what is written for it."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import resolver
from ansible_collections.discovery.consul.plugins.module_utils._consul.resolver import Host, Listener, ResolverError, Wanted

ANY = Wanted("auto", "consul", ("127.0.0.1:8600",))
WITH_CONTAINERS = dataclasses.replace(ANY, listen=("172.17.0.1",), networks=("172.16.0.0/12",))
STUB = "/run/systemd/resolve/stub-resolv.conf"


def listener(address: str, unit: str) -> Listener:
    return Listener(address, unit.partition(".")[0], unit)


RESOLVED = Host(
    resolv_conf="nameserver 127.0.0.53\noptions edns0\n",
    link=STUB,
    listeners=(listener("127.0.0.53", "systemd-resolved.service"),),
    systemd=252,
    resolved_servers={"Global": [], "Link 2 (eth0)": ["10.0.0.2"]},
)
DNSMASQ = Host(resolv_conf="nameserver 127.0.0.1\n", listeners=(listener("0.0.0.0", "dnsmasq.service"),), systemd=252)
UNBOUND = Host(resolv_conf="nameserver ::1\n", listeners=(listener("127.0.0.1", "unbound.service"), listener("::1", "unbound.service")), systemd=252)
ELSEWHERE = Host(resolv_conf="search example.org\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n", systemd=252)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (RESOLVED, "systemd-resolved"),
        (DNSMASQ, "dnsmasq"),
        (UNBOUND, "unbound"),
        (ELSEWHERE, "own"),
        # Resolved runs, and programs do not ask it. It is left alone.
        (dataclasses.replace(ELSEWHERE, listeners=RESOLVED.listeners), "own"),
        (dataclasses.replace(ELSEWHERE, resolv_conf=resolver.with_own(ELSEWHERE.resolv_conf), listeners=(listener("127.0.0.1", "consul-dns.service"),)), "own"),
        # The resolver of an engine, inside of one of its containers.
        (Host(resolv_conf="nameserver 127.0.0.11\n", systemd=252), "own"),
    ],
    ids=["resolved", "dnsmasq", "unbound", "elsewhere", "resolved aside", "ours", "an engine's"],
)
def test_the_resolver_is_the_one_that_programs_ask(host: Host, found: str) -> None:
    assert resolver.make(ANY, host).resolver == found


def test_resolved_gets_a_route_for_the_domain_and_keeps_its_validation() -> None:
    plan = resolver.make(WITH_CONTAINERS, RESOLVED)
    drop_in, anchor = (plan.files[path] for path in resolver.FILES["systemd-resolved"])
    assert drop_in.splitlines()[1:] == ["[Resolve]", "DNS=127.0.0.1:8600", "Domains=~consul", "DNSStubListenerExtra=172.17.0.1"]
    assert "DNSSEC" not in drop_in and anchor.splitlines()[-1] == "consul"
    assert plan.resolv_conf == RESOLVED.resolv_conf


def test_dnsmasq_answers_at_the_bridge_only_where_it_would_not_do_so_already() -> None:
    def lines(*settings: str) -> t.List[str]:
        pairs = [(key, "") for key in settings]
        return resolver.make(WITH_CONTAINERS, dataclasses.replace(DNSMASQ, settings={"dnsmasq": pairs})).files[resolver.FILES["dnsmasq"][0]].splitlines()

    assert "server=/consul/127.0.0.1#8600" in lines()
    assert "listen-address=172.17.0.1" not in lines("bind-interfaces")
    assert "listen-address=172.17.0.1" in lines("listen-address")
    assert "listen-address=172.17.0.1" in lines("interface", "bind-dynamic")
    with pytest.raises(ResolverError, match="Put bind-dynamic in its place"):
        lines("interface", "bind-interfaces")


def test_unbound_goes_on_to_answer_where_it_does() -> None:
    def text(*settings: str) -> str:
        host = dataclasses.replace(UNBOUND, settings={"unbound": [(key, "") for key in settings]})
        return resolver.make(WITH_CONTAINERS, host).files[resolver.FILES["unbound"][0]]

    assert [line.strip() for line in text().splitlines() if "interface" in line] == ["interface: 127.0.0.1", "interface: ::1", "interface: 172.17.0.1"]
    assert [line.strip() for line in text("interface").splitlines() if "interface" in line] == ["interface: 172.17.0.1"]
    assert "    access-control: 172.16.0.0/12 allow\n" in text() and "stub-addr: 127.0.0.1@8600" in text()


def test_our_own_comes_before_the_others_and_goes_again() -> None:
    plan = resolver.make(WITH_CONTAINERS, ELSEWHERE)
    assert resolver.nameservers(plan.resolv_conf) == ["127.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert plan.resolv_conf.startswith("search example.org\n")
    assert resolver.with_own(plan.resolv_conf) == plan.resolv_conf
    assert resolver.without_own(plan.resolv_conf) == ELSEWHERE.resolv_conf
    assert "listen-address=172.17.0.1\n" in plan.files[resolver.OWN_CONFIG]


@pytest.mark.parametrize(
    ("servers", "written"),
    [(("[fd00::1]:53", "10.0.0.9"), ["DNS=[fd00::1]:53 10.0.0.9:8600", "#53", "@53"])],
)
def test_servers_are_written_as_each_resolver_reads_them(servers: t.Tuple[str, ...], written: t.List[str]) -> None:
    wanted = dataclasses.replace(ANY, servers=servers)
    texts = ["".join(resolver.make(wanted, host).files.values()) for host in (RESOLVED, DNSMASQ, UNBOUND)]
    assert written[0] in texts[0]
    assert "server=/consul/fd00::1#53" in texts[1] and "server=/consul/10.0.0.9#8600" in texts[1]
    assert "stub-addr: fd00::1@53" in texts[2] and "stub-addr: 10.0.0.9@8600" in texts[2]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (dataclasses.replace(RESOLVED, systemd=245), "of release 245, and can ask a server at another port than 53 from 246 on"),
        (dataclasses.replace(RESOLVED, resolved_servers={"Global": ["10.0.0.9"], "Link 2 (eth0)": ["10.0.0.2"]}), "belong to no network interface: 10.0.0.9"),
        (dataclasses.replace(RESOLVED, resolved_servers={"Global": [], "Link 2 (eth0)": []}), "would ask Consul for every name"),
        (dataclasses.replace(RESOLVED, link="/run/systemd/resolve/resolv.conf"), "past systemd-resolved"),
        (dataclasses.replace(DNSMASQ, listeners=(listener("127.0.0.1", "named.service"),)), "where named answers"),
        (dataclasses.replace(ELSEWHERE, systemd=0), "no systemd"),
        (dataclasses.replace(ELSEWHERE, link="/run/resolvconf/resolv.conf"), "which another program writes"),
        (dataclasses.replace(ELSEWHERE, listeners=DNSMASQ.listeners), "where dnsmasq does"),
        (dataclasses.replace(ELSEWHERE, resolv_conf=""), "names no server"),
    ],
    ids=["old", "global", "no servers", "past it", "unknown", "no systemd", "link", "taken", "no upstream"],
)
def test_what_would_not_work_is_refused(host: Host, words: str) -> None:
    with pytest.raises(ResolverError, match=words):
        resolver.make(ANY, host)


def test_another_address_than_the_bridges_is_refused() -> None:
    assert resolver.make(WITH_CONTAINERS, dataclasses.replace(DNSMASQ, bridge="172.17.0.1")).files
    with pytest.raises(ResolverError, match=r"has the address 172\.18\.0\.1, and not"):
        resolver.make(WITH_CONTAINERS, dataclasses.replace(DNSMASQ, bridge="172.18.0.1"))


def test_servers_that_an_earlier_run_gave_are_no_others() -> None:
    earlier = dataclasses.replace(
        RESOLVED,
        resolved_servers={"Global": ["127.0.0.1:8600"], "Link 2 (eth0)": ["10.0.0.2"]},
        settings={"systemd-resolved": [("[Resolve]", ""), ("DNS", "127.0.0.1:8600"), ("Domains", "~consul")]},
    )
    assert resolver.make(dataclasses.replace(ANY, servers=("127.0.0.1:8699",)), earlier).resolver == "systemd-resolved"


@pytest.mark.parametrize(
    "wanted",
    [
        dataclasses.replace(ANY, domain="consul\nserver=8.8.8.8"),
        dataclasses.replace(ANY, domain="consul."),
        dataclasses.replace(ANY, domain=""),
        dataclasses.replace(ANY, servers=()),
        dataclasses.replace(ANY, servers=("consul.example:8600",)),
        dataclasses.replace(ANY, servers=("127.0.0.1:0",)),
        dataclasses.replace(ANY, listen=("0.0.0.0",)),
        dataclasses.replace(ANY, listen=("172.17.0.1\nx",)),
        dataclasses.replace(ANY, networks=("0.0.0.0/0 allow",)),
    ],
)
def test_what_is_no_name_or_address_comes_into_no_file(wanted: Wanted) -> None:
    with pytest.raises(ResolverError):
        resolver.make(wanted, RESOLVED)


@pytest.mark.parametrize("resolver_name", ["dnsmasq", "unbound", "systemd-resolved"])
def test_a_resolver_that_does_not_run_is_not_set_up(resolver_name: str) -> None:
    with pytest.raises(ResolverError, match="does not answer on port 53"):
        resolver.make(dataclasses.replace(ANY, resolver=resolver_name), ELSEWHERE)


NONE: t.Dict[str, t.Optional[str]] = dict.fromkeys(resolver.ALL_FILES)


def test_what_another_resolver_was_given_goes_and_can_be_put_back() -> None:
    host = dataclasses.replace(DNSMASQ, resolv_conf=resolver.with_own(DNSMASQ.resolv_conf))
    former = {**NONE, **dict.fromkeys(resolver.FILES["own"], "x"), resolver.FILES["unbound"][0]: "y"}
    steps = resolver.steps(resolver.make(dataclasses.replace(ANY, resolver="dnsmasq"), host), host, former)
    assert set(steps["stale"]) == {*resolver.FILES["own"], resolver.FILES["unbound"][0]}
    assert (steps["stop_own"], steps["stale_units"]) == ("consul-dns.service", [])  # unbound does not run any more
    assert steps["former_units"] == ["consul-dns.service", "dnsmasq.service"]
    assert (steps["resolv_conf"], steps["former_resolv_conf"]) == (DNSMASQ.resolv_conf, host.resolv_conf)


def test_nothing_is_left_of_it() -> None:
    former = {**NONE, resolver.FILES["dnsmasq"][0]: "x"}
    steps = resolver.steps(resolver.NOTHING, DNSMASQ, former)
    assert (steps["files"], steps["stale"], steps["stale_units"]) == ([], [resolver.FILES["dnsmasq"][0]], ["dnsmasq.service"])
    assert steps["resolv_conf"] == DNSMASQ.resolv_conf and steps["stop_own"] == ""
