# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Rules on what those are told who look something up: the catalog, its checks, and DNS.

Each rule returns what to say when nothing speaks against it.
"""

from __future__ import annotations

from ansible_collections.discovery.consul.plugins.module_utils._consul.case import LEFT, Case, Findings, Json, View, repeated
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer

# Consul answers a question over UDP with at most this many addresses (dns_config.udp_answer_limit).
UDP_ANSWERS = 3


def catalog(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("catalog")
    if not answer.good:
        findings.failed(answer, "the catalog cannot be read")
        return ""
    if not answer.data or not isinstance(answer.data, list):
        findings.open("the catalog shows no nodes at all, so the token may not see any")
        return ""
    members = {name: member for name, member in case.view().items() if member.get("Status") != LEFT}
    if not members:
        findings.open("no node shows its members to compare the catalog with")
        return ""
    _catalog_nodes(findings, answer, members, case.hides_members(str(case.readings.via)))
    _serf_health(case, findings, members)
    return f"The catalog has the {len(members)} members, and each is passing."


def _catalog_nodes(findings: Findings, answer: Answer, members: View, hidden: bool) -> None:
    nodes = {str(node.get("Node")): node for node in answer.data}
    for name in [name for name in members if name not in nodes]:
        findings.missing(answer, f"{name} is a member, but not in the catalog", name)
    for name, node in nodes.items():
        if name not in members and not _external(node):
            (findings.open if hidden else findings.wrong)(f"{name} is in the catalog, but no member", name)
        elif name in members and node.get("Address") != members[name].get("Addr"):
            findings.wrong(f"the catalog has {name} at {node.get('Address')}, but it is at {members[name].get('Addr')}", name)
    for what, key in (("name", "Node"), ("id", "ID")):
        for double in repeated([node.get(key) for node in answer.data]):
            findings.wrong(f"the catalog has the {what} {double} more than once")


def _external(node: Json) -> bool:
    """A node that something else than an agent registered, which is never a member."""
    return bool({"external-node", "external-source", "synthetic-node"} & set(node.get("Meta") or {}))


def _serf_health(case: Case, findings: Findings, members: View) -> None:
    answer = case.readings.of_cluster("checks")
    if not answer.good or not answer.data:
        return _no_checks(findings, answer)
    health = {str(check.get("Node")): check for check in answer.data if check.get("CheckID") == "serfHealth"}
    for name in members:
        if name not in health:
            findings.missing(answer, f"{name} has no serfHealth check", name)
        elif health[name].get("Status") != "passing":
            findings.wrong(f"serfHealth of {name} is {health[name].get('Status')}", name)
    return None


def _no_checks(findings: Findings, answer: Answer) -> None:
    if answer.good:
        findings.open("no checks are shown at all, not even serfHealth, so the token may not see any")
    else:
        findings.failed(answer, "the checks cannot be read")


def dns(case: Case, findings: Findings) -> str:
    addresses = {case.address_of(node) for node in case.servers}
    wanted = {address for address in addresses if address}
    if None in addresses:
        findings.open("the addresses of the servers are not known, as no node shows its members")
    for name, answers in case.readings.dns.items():
        for transport, answer in answers.items():
            _dns_answer(case, findings, f"{name} over {transport}", answer, wanted)
    if not case.readings.dns:
        findings.wrong("no node was asked over DNS")
    return f"DNS gives the {len(wanted)} servers over UDP and TCP."


def _dns_answer(case: Case, findings: Findings, who: str, answer: Answer, wanted: set[str]) -> None:
    name = who.partition(" ")[0]
    if not answer.good:
        # An agent without permission to see services knows no such name.
        refused = answer.error == "NXDOMAIN" and not case.views()
        return (findings.open if refused else findings.wrong)(f"{who} has no answer: {answer.trouble}", name)
    found = set(answer.data)
    few = len(found) < (min(UDP_ANSWERS, len(wanted)) if who.endswith("udp") else len(wanted))
    if found - wanted or few:
        findings.wrong(f"{who} gives {', '.join(sorted(found)) or 'no address'} instead of {', '.join(sorted(wanted))}", name)
    return None


def checks(case: Case, findings: Findings) -> str:
    answer = case.readings.of_cluster("checks")
    if not answer.good or not answer.data:
        _no_checks(findings, answer)
        return ""
    if answer.filtered:
        findings.open("the token may not see all checks")
    # serfHealth says whether a node is alive, which the rule catalog judges.
    critical = [check for check in answer.data if check.get("Status") == "critical" and check.get("CheckID") != "serfHealth"]
    if not case.limits.service_checks:
        for check in critical:
            findings.report(_critical(check))
        return f"{len(critical)} of {len(answer.data)} checks are critical, which is reported and does not count."
    if len(critical) > case.limits.allowed_critical:
        for check in critical:
            findings.wrong(_critical(check), str(check.get("Node")))
    return f"{len(critical)} of {len(answer.data)} checks are critical, {case.limits.allowed_critical} may be."


def _critical(check: Json) -> str:
    of = f" of service {check['ServiceName']}" if check.get("ServiceName") else ""
    output = " ".join(str(check.get("Output") or "").split())[:120]
    text = f"check {check.get('CheckID')}{of} on {check.get('Node')} is critical{': ' if output else ''}{output}"
    return "".join(character if character.isprintable() else "?" for character in text)  # what services say of themselves may be anything
