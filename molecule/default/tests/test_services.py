# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service of the host that is no container, and a prepared query, as the scenario's inventory declares them."""

from __future__ import annotations

import json
import re
import typing as t

from conftest import NODES, Machine, secret

CLIENT = NODES[-1]
DNS = (
    "import dns.message, dns.query; q = dns.message.make_query('ssh.query.consul', 'SRV');"
    f"a = dns.query.tcp(q, '127.0.0.1', timeout=5, port={8600 + CLIENT.offset});"
    "print(*sorted(r.port for s in a.answer for r in s))"
)


def statuses(machine: Machine) -> dict[str, str]:
    """The checks of the service by name, as the catalog has them."""
    (one,) = machine.api("/v1/health/service/host-ssh")
    assert one["Node"]["Node"] == "node4"
    return {check["Name"]: check["Status"] for check in one["Checks"] if check["ServiceName"] == "host-ssh"}


def test_a_declared_service_is_in_the_catalog_with_its_checks(machine: Machine) -> None:
    (found,) = machine.api("/v1/catalog/service/host-ssh")
    assert (found["ServiceID"], found["ServiceAddress"], found["ServicePort"], found["ServiceTags"]) == ("host-ssh-1", "172.30.0.1", 22, ["host"])
    assert found["ServiceMeta"] == {"owner": "molecule"}
    machine.until("its checks pass", lambda: statuses(machine) == {"answers": "passing", "told": "passing"})


def test_its_token_writes_it_and_no_other_service(machine: Machine) -> None:
    for token, name, status in (("services-node4", "other", 403), ("agent-node4", "host-ssh", 403)):
        assert machine.ask("/v1/agent/service/register", CLIENT.offset, secret(token), "PUT", json.dumps({"Name": name}))[0] == status
    assert secret("services-node4") in machine.run("cat /etc/discovery.consul/node4/consul.json")


def test_a_prepared_query_is_answered_by_dns(machine: Machine) -> None:
    machine.until("its checks pass", lambda: statuses(machine)["answers"] == "passing")
    assert machine.python(DNS).split() == ["22"]


def test_a_critical_check_of_it_gates_nothing(machine: Machine, play: t.Callable[..., str]) -> None:
    token = secret("services-node4")
    assert machine.ask("/v1/agent/check/fail/host-ssh-told", CLIENT.offset, token, "PUT")[0] == 200
    try:
        machine.until("it is critical", lambda: statuses(machine)["told"] == "critical")
        output = play("site.yml", "--tags", "consul,health")
        assert not re.search(r"changed=[1-9]", output)
    finally:
        assert machine.ask("/v1/agent/check/pass/host-ssh-told", CLIENT.offset, token, "PUT")[0] == 200
