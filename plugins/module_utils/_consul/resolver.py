# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Which resolver a host asks, and what has to be in its configuration for it to ask Consul for Consul's names. Nothing here reads the host: see
`resolver_host`."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul.dns import split
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

RESOLVED, DNSMASQ, UNBOUND, OWN = "systemd-resolved", "dnsmasq", "unbound", "own"
CHOICES = ["auto", RESOLVED, DNSMASQ, UNBOUND, OWN]

RESOLV_CONF = "/etc/resolv.conf"
OWN_UNIT = "consul-dns.service"
OWN_ADDRESS = "127.0.0.1"
OWN_CONFIG = "/etc/consul-dns.conf"
OWN_MARK = "# The resolver that knows Consul's names, by the role consul_dns."
FILES = {
    RESOLVED: ("/etc/systemd/resolved.conf.d/discovery-consul.conf", "/etc/dnssec-trust-anchors.d/discovery-consul.negative"),
    DNSMASQ: ("/etc/dnsmasq.d/discovery-consul.conf",),
    UNBOUND: ("/etc/unbound/unbound.conf.d/discovery-consul.conf",),
    OWN: (OWN_CONFIG, f"/etc/systemd/system/{OWN_UNIT}"),
}
"""Everything that the role may write, by resolver. Nobody else's file is ever touched but for one line of /etc/resolv.conf."""

UNITS = {RESOLVED: "systemd-resolved.service", DNSMASQ: "dnsmasq.service", UNBOUND: "unbound.service", OWN: OWN_UNIT}
CHECKS = {DNSMASQ: ["dnsmasq", "--test"], UNBOUND: ["unbound-checkconf"], OWN: ["dnsmasq", "--test", f"--conf-file={OWN_CONFIG}"]}
HEADER = "# Written by Ansible: Consul answers for its own names.\n"
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.I)


class ResolverError(OperatorError):
    """Why a host's resolver cannot be made to ask Consul, with what to do."""


@dataclass(frozen=True)
class Wanted:
    """What the operator asks for. `listen` are further addresses to answer at, for the containers in `networks`."""

    resolver: str
    domain: str
    servers: tuple[str, ...]
    listen: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listener:
    """Who answers on port 53. `unit` is that of systemd, empty when there is none."""

    address: str
    program: str
    unit: str


@dataclass(frozen=True)
class Host:
    """What was read of a host."""

    resolv_conf: str = ""
    link: str = ""
    """Where /etc/resolv.conf leads to; empty when it is a file."""
    listeners: tuple[Listener, ...] = ()
    systemd: int = 0
    """The release of the systemd that runs; 0 when none does."""
    resolved_servers: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    """The servers that systemd-resolved has, by network interface, and under `Global` those that belong to none."""
    settings: t.Mapping[str, t.Sequence[tuple[str, str]]] = field(default_factory=dict)
    """Keys and values in the configuration of dnsmasq and of unbound that is not ours."""
    bridge: str = ""
    """The address of the containers' bridge; empty when it is not there."""


@dataclass(frozen=True)
class Plan:
    """What has to be on the host. `files` are whole files, by path; `resolv_conf` is what /etc/resolv.conf holds in the end."""

    resolver: str
    unit: str
    files: t.Mapping[str, str]
    resolv_conf: str
    check: t.Sequence[str]


ALL_FILES = [path for paths in FILES.values() for path in paths]
NOTHING = Plan("", "", {}, "", [])
"""What has to be there when the role is to leave nothing."""


def steps(plan: Plan, host: Host, former: t.Mapping[str, str | None]) -> dict[str, t.Any]:
    """What the role does, one task for each key. `former` is what the role's files hold now, None for those that are not there."""
    stale = [path for path in ALL_FILES if former[path] is not None and path not in plan.files]
    running = {listener.unit for listener in host.listeners}
    others = [UNITS[resolver] for resolver, paths in FILES.items() if resolver not in (OWN, plan.resolver) and set(paths) & set(stale)]
    stale_units = [unit for unit in others if unit in running]
    own_before = former[FILES[OWN][1]] is not None
    return {
        "resolver": plan.resolver,
        "unit": plan.unit,
        "check": list(plan.check),
        "files": [{"path": path, "content": content} for path, content in plan.files.items()],
        "stale": stale,
        "stale_units": stale_units,
        "stop_own": OWN_UNIT if set(FILES[OWN]) & set(stale) else "",
        "resolv_conf": plan.resolv_conf if plan.resolver == OWN else without_own(host.resolv_conf),
        "own_before": own_before,
        "former_units": [*([OWN_UNIT] if own_before else []), *([plan.unit] if plan.resolver not in ("", OWN) else []), *stale_units],
        "former": [{"path": path, "content": former[path]} for path in ALL_FILES],
        "former_resolv_conf": host.resolv_conf,
    }


def judge(wanted: Wanted) -> None:
    """Refuse what is no name, address or network, before it comes into a file."""
    labels = wanted.domain.split(".")
    if len(wanted.domain) > 200 or not all(LABEL.fullmatch(label) for label in labels):
        raise ResolverError(f"The domain '{wanted.domain}' is no domain name. Write it like consul, without a dot at its end.")
    if not wanted.servers:
        raise ResolverError("No server of Consul's DNS is given. Name at least one, like 127.0.0.1:8600.")
    for server in wanted.servers:
        _address_and_port(server)
    for address in wanted.listen:
        if _ip(address).is_unspecified:
            raise ResolverError(f"The resolver is not to answer at {address}, which is every address of the host. Name the bridge's.")
    for network in wanted.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as exc:
            raise ResolverError(f"{network} is no network. Write it like 172.16.0.0/12.") from exc


def make(wanted: Wanted, host: Host) -> Plan:
    """The plan for a host, or a sentence that says why there is none."""
    judge(wanted)
    if host.bridge and wanted.listen and host.bridge not in wanted.listen:
        raise ResolverError(
            f"The bridge of the containers has the address {host.bridge}, and not {', '.join(wanted.listen)}. Nothing was changed. Set "
            f"consul_dns_bridge_address to {host.bridge}."
        )
    resolver = find(host) if wanted.resolver == "auto" else wanted.resolver
    files, resolv_conf = {}, without_own(host.resolv_conf)
    if resolver == RESOLVED:
        files = _resolved(wanted, host)
    elif resolver == DNSMASQ:
        files = _dnsmasq(wanted, host)
    elif resolver == UNBOUND:
        files = _unbound(wanted, host)
    else:
        files, resolv_conf = _own(wanted, host), with_own(host.resolv_conf)
    return Plan(resolver, UNITS[resolver], files, resolv_conf, CHECKS.get(resolver, []))


def find(host: Host) -> str:
    """The resolver that programs of the host ask: who answers where the first line of /etc/resolv.conf sends them."""
    if host.link.startswith("/run/systemd/resolve/") and not host.link.endswith("stub-resolv.conf"):
        raise ResolverError(
            f"{RESOLV_CONF} leads to {host.link}, which sends programs past systemd-resolved to the servers behind it. Let it lead to "
            "/run/systemd/resolve/stub-resolv.conf."
        )
    first = next(iter(nameservers(host.resolv_conf)), "")
    answers = _who(host, first)
    if answers is None:
        return OWN
    for resolver, unit in UNITS.items():
        if answers.unit == unit:
            return resolver
    raise ResolverError(
        f"The host asks {first}, where {answers.program} answers ({answers.unit or 'no unit of systemd'}). This role knows systemd-resolved, dnsmasq and "
        "unbound, as units of these names. Have that program ask Consul by hand, or set consul_dns_resolver."
    )


def nameservers(resolv_conf: str) -> list[str]:
    """The servers of a resolv.conf, in their order."""
    found = (line.split() for line in resolv_conf.splitlines())
    return [words[1] for words in found if len(words) > 1 and words[0] == "nameserver"]


def with_own(resolv_conf: str) -> str:
    """`resolv_conf` with our resolver before the others. They stay: ours asks them, engines give them to containers, and programs use them when it is down."""
    lines = without_own(resolv_conf).splitlines()
    place = next((number for number, line in enumerate(lines) if line.split()[:1] == ["nameserver"]), len(lines))
    return "".join(f"{line}\n" for line in [*lines[:place], OWN_MARK, f"nameserver {OWN_ADDRESS}", *lines[place:]])


def without_own(resolv_conf: str) -> str:
    """`resolv_conf` without our resolver."""
    lines = resolv_conf.splitlines()
    if OWN_MARK not in lines:
        return resolv_conf
    place = lines.index(OWN_MARK)
    after = lines[place + 1 :]
    if after and after[0].split() == ["nameserver", OWN_ADDRESS]:
        after = after[1:]
    return "".join(f"{line}\n" for line in [*lines[:place], *after])


def _resolved(wanted: Wanted, host: Host) -> dict[str, str]:
    _must_run(host, RESOLVED)
    needed = 247 if wanted.listen else 246
    if host.systemd < needed:
        what = "answer at a further address" if wanted.listen else "ask a server at another port than 53"
        raise ResolverError(
            f"systemd-resolved is of release {host.systemd}, and can {what} from {needed} on. Upgrade the distribution, or use dnsmasq or unbound as the "
            "host's resolver."
        )
    ours = [_joined(server, "[{}]:{}", "{}:{}") for server in wanted.servers]
    # What is not bound to an interface is asked for any name that no interface claims: there is one such list, and Consul's servers go into it.
    others = [server for server in host.resolved_servers.get("Global", ()) if server.partition("#")[0] not in ours and not _is_consul(server, host)]
    if others:
        raise ResolverError(
            f"systemd-resolved has servers that belong to no network interface: {', '.join(others)}. It would ask one of these or Consul for the same names. "
            "Give them to an interface, in the configuration of the network, instead of DNS= in resolved.conf; or use dnsmasq or unbound."
        )
    if not any(servers for link, servers in host.resolved_servers.items() if link != "Global"):
        raise ResolverError(
            "No network interface has a server for systemd-resolved, so it would ask Consul for every name. Give an interface its servers, in the "
            "configuration of the network."
        )
    drop_in, anchor = FILES[RESOLVED]
    lines = ["[Resolve]", f"DNS={' '.join(ours)}", f"Domains=~{wanted.domain}", *(f"DNSStubListenerExtra={address}" for address in wanted.listen)]
    return {
        drop_in: HEADER + "".join(f"{line}\n" for line in lines),
        # Consul signs nothing. Validation of all other names stays as it is.
        anchor: f"; Written by Ansible: Consul does not sign its names.\n{wanted.domain}\n",
    }


def _dnsmasq(wanted: Wanted, host: Host) -> dict[str, str]:
    _must_run(host, DNSMASQ)
    keys = {key for key, _value in host.settings.get(DNSMASQ, ())}
    lines = _dnsmasq_lines(wanted)
    # Without these two dnsmasq answers at every address already, and naming one would have it stop doing so.
    if wanted.listen and keys & {"listen-address", "interface"}:
        if "bind-interfaces" in keys:
            raise ResolverError(
                "dnsmasq is set up with bind-interfaces, and would not start while the bridge of the containers is not there. Put bind-dynamic in its place."
            )
        lines += [f"listen-address={address}" for address in wanted.listen]
    return {FILES[DNSMASQ][0]: HEADER + "".join(f"{line}\n" for line in lines)}


def _dnsmasq_lines(wanted: Wanted) -> list[str]:
    servers = [f"server=/{wanted.domain}/{_joined(server, '{}#{}', '{}#{}')}" for server in wanted.servers]
    return [*servers, "# Services have addresses of private networks.", f"rebind-domain-ok=/{wanted.domain}/"]


def _unbound(wanted: Wanted, host: Host) -> dict[str, str]:
    _must_run(host, UNBOUND)
    keys = {key for key, _value in host.settings.get(UNBOUND, ())}
    lines = ["server:", "    do-not-query-localhost: no", f'    domain-insecure: "{wanted.domain}"', f'    private-domain: "{wanted.domain}"']
    if wanted.listen:
        # Without any interface it answers on loopback alone; with one of ours only there. An address may come later than unbound.
        own = {listener.address for listener in host.listeners if listener.unit == UNITS[UNBOUND]}
        loopback = [] if "interface" in keys else [one for one in ("127.0.0.1", "::1") if one in own]
        lines += [f"    interface: {address}" for address in [*loopback, *wanted.listen]]
        lines += ["    ip-freebind: yes", *(f"    access-control: {network} allow" for network in wanted.networks)]
    lines += ["stub-zone:", f'    name: "{wanted.domain}"', *(f"    stub-addr: {_joined(server, '{}@{}', '{}@{}')}" for server in wanted.servers)]
    return {FILES[UNBOUND][0]: HEADER + "".join(f"{line}\n" for line in lines)}


def _own(wanted: Wanted, host: Host) -> dict[str, str]:
    if not host.systemd:
        raise ResolverError("The host has no resolver of its own, and no systemd that one of ours could run under. Install dnsmasq or unbound on it.")
    if host.link:
        raise ResolverError(
            f"{RESOLV_CONF} leads to {host.link}, which another program writes, so no resolver of ours can be named in it. Have that program name one "
            f"that runs on the host, which is then found; or make {RESOLV_CONF} a file."
        )
    taken = _who(host, OWN_ADDRESS)
    if taken and taken.unit != OWN_UNIT:
        raise ResolverError(
            f"A resolver of ours would answer at {OWN_ADDRESS}, where {taken.program} does ({taken.unit or 'no unit of systemd'}), though {RESOLV_CONF} does "
            f"not name it first. Name it there, or stop it."
        )
    if not nameservers(without_own(host.resolv_conf)):
        raise ResolverError(f"{RESOLV_CONF} names no server that a resolver of ours could ask for all other names. Name one there.")
    config, unit = FILES[OWN]
    lines = [*_dnsmasq_lines(wanted), *(f"listen-address={address}" for address in [OWN_ADDRESS, *wanted.listen]), "bind-dynamic", "no-hosts", "user=dnsmasq"]
    return {
        # All other names go to the other servers of /etc/resolv.conf, which dnsmasq reads whenever it changes; it leaves itself out.
        config: HEADER + "".join(f"{line}\n" for line in lines),
        unit: UNIT,
    }


UNIT = f"""\
# Written by Ansible.
[Unit]
Description=Resolver that knows the names of Consul
Wants=nss-lookup.target
Before=nss-lookup.target
After=network.target

[Service]
ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file={OWN_CONFIG} --pid-file=
Restart=on-failure
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_CHOWN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes

[Install]
WantedBy=multi-user.target
"""


def _must_run(host: Host, resolver: str) -> None:
    if not any(listener.unit == UNITS[resolver] for listener in host.listeners):
        raise ResolverError(f"{resolver} does not answer on port 53 of any address of the host (unit {UNITS[resolver]}). Start it, or use another resolver.")


def _who(host: Host, address: str) -> Listener | None:
    """Who answers at an address of the host."""
    exact = [listener for listener in host.listeners if listener.address == address]
    every = [listener for listener in host.listeners if listener.address in ("0.0.0.0", "::") and _is_loopback(address)]
    return next(iter([*exact, *every]), None)


def _is_consul(server: str, host: Host) -> bool:
    """Whether a server of systemd-resolved is one that an earlier run of the role gave it."""
    earlier = re.findall(r"\S+", dict(host.settings.get(RESOLVED, ())).get("DNS", ""))
    return server in earlier


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        if "%" in text:
            raise ValueError(text)
        return ipaddress.ip_address(text)
    except ValueError as exc:
        raise ResolverError(f"'{text}' is no IP address.") from exc


def _address_and_port(server: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    try:
        address, port = split(server)
    except ValueError as exc:
        raise ResolverError(str(exc)) from exc
    if not 0 < port < 65536:
        raise ResolverError(f"{server} has no port between 1 and 65535.")
    return _ip(address), port


def _joined(server: str, six: str, four: str) -> str:
    address, port = _address_and_port(server)
    return (six if address.version == 6 else four).format(address, port)
