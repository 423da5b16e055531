# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Readings until the cluster is as it should be, or the time is up, and what comes of it for the operator."""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.discovery.consul.plugins.module_utils._consul import client, dns, rules
from ansible_collections.discovery.consul.plugins.module_utils._consul.readings import Expected, Reader
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

# Consul holds a call for a leader that long (performance.rpc_hold_timeout) before it says that there is none.
RPC_HOLD = 7

# Consul answers over DNS from memory, so a datagram without an answer after that time got lost.
DNS_TIMEOUT = 1.5

# What a failure is told by, when several rules failed.
TELLING = ("leader", "write", "servers", "autopilot", "members")


class HealthError(OperatorError):
    """What was asked for cannot be checked, as a sentence for the operator."""


FORMER_WAITS = {"degraded": "serving", "spare": "can_lose_node", "voter": "node_is_voter"}
"""Names of `wait_for` that older plays use, with those of today."""

NODE_WAITS = ("can_lose_node", "node_is_voter", "spare", "voter")
"""Those that are about one server."""


@dataclass(frozen=True)
class Patience:
    """What to wait for, how long, and how many good readings in a row prove it."""

    wait_for: str = "none"
    node: str | None = None
    timeout: float = 60
    samples: int = 1
    interval: float = 1

    def good(self, verdict: rules.Verdict) -> bool:
        return {
            "none": True,
            "healthy": verdict.level == "healthy",
            "serving": verdict.serving,
            "can_lose_node": verdict.can_lose(self.node),
            "node_is_voter": verdict.serving and self.node in verdict.sound,
        }[self.wait_for]

    @property
    def wanted(self) -> str:
        """What is waited for, in words."""
        words = {"can_lose_node": f"able to do without {self.node}", "node_is_voter": f"served by {self.node} too, as a voter that has caught up"}
        return words.get(self.wait_for, self.wait_for)


@dataclass
class Outcome:
    """The last verdict, the good readings in a row that led to it, and whether they were enough."""

    verdict: rules.Verdict
    samples: int
    elapsed: float
    reached: bool


def watch(
    read: t.Callable[[], rules.Verdict],
    patience: Patience,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> Outcome:
    """Take readings until enough in a row are good. None is begun after the deadline, and one is always taken."""
    begun = clock()
    wanted = 1 if patience.wait_for == "none" else patience.samples
    good = 0
    while True:
        verdict = read()
        good = good + 1 if patience.good(verdict) else 0
        left = patience.timeout - (clock() - begun)
        if good >= wanted or left <= patience.interval:
            return Outcome(verdict, good, round(clock() - begun, 3), good >= wanted)
        sleep(patience.interval)


def check(params: Json, check_mode: bool) -> Json:
    """The module: its options to its result, which has `failure` when what was waited for did not come."""
    nodes = expected_nodes(params)
    limits = _limits(params, check_mode)
    client.check_library()
    if any(node.dns for node in nodes) and "dns" not in limits.skip:
        dns.check_library()
    reader = _reader(params, nodes, limits)
    wait_for: str = params["wait_for"]
    patience = Patience(FORMER_WAITS.get(wait_for, wait_for), params["node"], params["timeout"], params["samples"], params["interval"])
    outcome = watch(lambda: rules.judge(nodes, reader.read(), limits), patience)
    result = _result(outcome, rules.skipped(outcome.verdict.rules, nodes, limits))
    if not outcome.reached:
        result["failure"] = failure(outcome, result, patience, limits)
    return result


def expected_nodes(params: Json) -> list[Expected]:
    """The nodes that the options name, judged before anything is asked. Those that are not asked lose their addresses."""
    nodes = [_expected(given, server) for key, server in (("servers", True), ("clients", False)) for given in params[key]]
    names = [node.name for node in nodes]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise HealthError(f"{double} is among the servers and clients more than once. Give each node its own name.")
    if not params["servers"]:
        raise HealthError("No server is expected, so there is nothing to judge. Name the servers in `servers`.")
    if params["wait_for"] in NODE_WAITS and params["node"] not in [server["name"] for server in params["servers"]]:
        raise HealthError(f"{params['node']} is to be waited for, but is not among the servers. Name one of them in `node`.")
    trust = params["ca_cert"]
    if trust and not os.path.isfile(trust) and any(str(node.http).startswith("https:") for node in nodes):
        raise HealthError(f"ca_cert names {trust}, which is not on this host. Run where it is, or name the file with the authorities to trust.")
    if params["request_timeout"] <= RPC_HOLD:
        raise HealthError(f"request_timeout is {params['request_timeout']:g} s, but Consul takes {RPC_HOLD} s to say that there is no leader. Give 8 or more.")
    return _asked(nodes, params["ask"])


def _expected(given: Json, server: bool) -> Expected:
    for key, parse in (("http", client.split), ("dns", dns.split)):
        try:
            parse(given[key]) if given.get(key) else None
        except (ValueError, client.ConsulError) as exc:
            raise HealthError(f"{given['name']}: {exc}") from exc
    return Expected(given["name"], server, given.get("address"), given.get("http"), given.get("dns"))


def _asked(nodes: list[Expected], ask: list[str] | None) -> list[Expected]:
    by_name = {node.name: node for node in nodes}
    for name in ask or []:
        if name not in by_name or not by_name[name].http:
            reason = "has no `http`" if name in by_name else "is neither among the servers nor the clients"
            raise HealthError(f"{name} is to be asked, but {reason}. Name a node in `ask` that has the URL of its HTTP API in `http`.")
    asked = [node if ask is None or node.name in ask else Expected(node.name, node.server, node.address) for node in nodes]
    if not any(node.http for node in asked):
        raise HealthError("No node can be asked, as none has the URL of its HTTP API. Give `http` to servers, like http://10.0.0.11:8500.")
    return asked


def _limits(params: Json, check_mode: bool) -> rules.Limits:
    return rules.Limits(
        datacenter=params["datacenter"],
        allowed_critical=params["allowed_critical"],
        stable_for=params["stable_for"],
        max_trailing_logs=params["max_trailing_logs"],
        allow_version_skew=params["allow_version_skew"],
        skip=frozenset(params["skip_rules"]),
        accept_unknown=frozenset(params["accept_unknown"]),
        service_checks=params["service_checks"] == "require",
        gossip_keys=params["gossip_keys"],
        write=not check_mode,
    )


def _reader(params: Json, nodes: list[Expected], limits: rules.Limits) -> Reader:
    verify = params["ca_cert"] or True if params["validate_certs"] else False
    cert = (params["client_cert"], params["client_key"]) if params["client_key"] else params["client_cert"]
    kinds = sorted({"AAAA" if ":" in (node.address or "") else "A" for node in nodes if node.server})
    name = f"consul.service.{params['domain'].strip('.')}."
    budget = params["request_timeout"]

    def connect(url: str) -> client.Client:
        return client.Client(url, params["token"], verify, cert, budget)

    def lookup(endpoint: str, transport: str) -> client.Answer:
        return dns.lookup(endpoint, name, kinds, transport, min(DNS_TIMEOUT, budget))

    if "dns" in limits.skip:
        nodes = [Expected(node.name, node.server, node.address, node.http) for node in nodes]
    return Reader(nodes, connect, lookup, limits.write and "write" not in limits.skip, limits.gossip_keys, budget)


def _result(outcome: Outcome, skipped: list[str]) -> Json:
    verdict = outcome.verdict
    return {
        "verdict": verdict.level,
        "rules": [asdict(rule) for rule in verdict.rules],
        "failed_rules": [rule.name for rule in verdict.rules if rule.ok is False],
        "skipped_rules": skipped,
        "leader": verdict.leader,
        "can_lose": sorted(name for name in verdict.sound if verdict.can_lose(name)),
        "nodes": verdict.nodes,
        "services": verdict.services,
        "critical_checks": next((rule.evidence for rule in verdict.rules if rule.name == "checks" and rule.ok), []),
        "samples": outcome.samples,
        "elapsed": outcome.elapsed,
    }


def failure(outcome: Outcome, result: Json, patience: Patience, limits: rules.Limits) -> str:
    """One sentence: what was wanted, what is, the evidence and the remedy."""
    if outcome.samples:
        return (
            f"The cluster is {patience.wanted}, but only {outcome.samples} of {patience.samples} readings in a row were within {outcome.elapsed:.0f} s. "
            "Give a longer timeout, or ask for fewer samples."
        )
    suspects = [rule for rule in outcome.verdict.rules if rule.ok is not True and rule.name not in result["skipped_rules"]]
    order = [rule for name in TELLING for rule in suspects if rule.name == name] + suspects
    rule = next((rule for rule in order if rule.ok is False), order[0])
    remedy = _permissions(suspects, limits) if rule.ok is None else rule.remedy
    others = [other.name for other in suspects if other is not rule]
    more = f" Not met, too: {', '.join(others)}." if others else ""
    return f"The cluster is {result['verdict']} after {outcome.elapsed:.0f} s, not {patience.wanted}. Rule {rule.name}: {rule.summary} {remedy}{more}"


def _permissions(suspects: list[rules.Rule], limits: rules.Limits) -> str:
    """Where nothing is wrong but much is hidden: all that a token has to have, at once."""
    wanted: dict[str, None] = {}
    for rule in suspects:
        wanted.update(dict.fromkeys(rules.permission_for(rule.name, limits).split(" and ")))
    return f"Give a token with {', '.join(wanted)}, or skip the rules."
