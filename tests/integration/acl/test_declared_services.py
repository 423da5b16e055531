# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services and prepared queries that an inventory declares, in a real Consul whose ACLs deny; and maintenance of a node that has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
import uuid

import dns.message
import dns.query
import pytest
from ansible_collections.discovery.consul.plugins.filter.agent_tokens import agent_tokens
from ansible_collections.discovery.consul.plugins.module_utils._consul import acl, config, declared, maintenance, prepared_query, registered, versions
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import Reader
from consul_agent import free_port
from servers import ROOT, Server

Json = t.Dict[str, t.Any]

AGENT, SERVICES, READER = (str(uuid.uuid4()) for _number in range(3))
DB: Json = {
    "name": "db",
    "port": 5432,
    "address": "10.0.0.7",
    "tags": ["primary"],
    "meta": {"version": "16"},
    "checks": [{"name": "port", "ttl": "10m", "status": "passing"}, {"name": "answers", "ttl": "10m", "status": "passing"}],
}
PRINTER: Json = {"name": "printer", "id": "printer-1", "port": 631, "address": "10.0.0.8"}


def rights(consul: Server, *services: Json, tokens: t.Sequence[Json] = (), policies: t.Sequence[Json] = (), node: str = "app") -> Json:
    """What the play of the servers gives, as the role does."""
    variables = {"consul_agent_services": list(services), "consul_agent_acl_agent_token": AGENT, "consul_agent_acl_services_token": SERVICES}
    mine = agent_tokens([node], {node: variables}, "dc1")
    options = {"owner": "dc1.inventory", "purge": False, "purge_superseded": False, "wait": 60, "policies": list(policies), "roles": []}
    return acl.converge(Client(consul.url, ROOT), {**options, "tokens": [*mine, *tokens]}, check_mode=False)


def settings(*services: Json, **more: t.Any) -> Json:
    """The part of a configuration that the role makes of them."""
    return config.build({"services": declared.written(services, SERVICES), **more}, {}, versions.OLDEST)


def reread(agent: Server, *services: Json) -> None:
    """What a reload of the role does: other services in the file, and a signal."""
    agent.config = {**{key: value for key, value in agent.config.items() if key != "services"}, **settings(*services)}
    file = agent.folder / "consul.json"
    file.write_text(json.dumps({"ports": agent.ports, "bind_addr": "127.0.0.1", "node_name": agent.name, **agent.config}))
    agent.process.send_signal(1)


def prove(agent: Server, *services: Json, token: str = AGENT, check_mode: bool = False, **options: t.Any) -> Json:
    given = {"node": agent.name, "services": list(services), "former_services": [], "reload": False, "wait": 30, **options}
    return registered.prove(Client(agent.url, token), given, check_mode)


def asked_as(agent: Server, token: str, method: str, path: str, data: t.Any = None) -> t.Any:
    agent.token = token
    answer = agent._request(method, path, None if data is None else json.dumps(data).encode())
    return json.loads(answer) if answer else None


def catalog(consul: Server, node: str = "app") -> t.Dict[str, Json]:
    found = consul.get(f"/v1/catalog/node/{node}") or {"Services": {}}
    return {one["ID"]: one for one in found["Services"].values() if one["ID"] != "consul"}


@pytest.fixture
def app(consul: Server, server: t.Callable[..., Server]) -> Server:
    """A client whose agent may write its node and nothing else."""
    rights(consul, DB)
    join = {"retry_join": [f"127.0.0.1:{consul.ports['serf_lan']}"], "retry_interval": "1s"}
    tokens = {"enabled": True, "default_policy": "deny", "tokens": {"agent": AGENT}}
    one = server("app", server=False, bootstrap_expect=0, acl=tokens, encrypt=consul.config["encrypt"], ports={"dns": free_port()}, **join, **settings(DB))
    one.wait_for(lambda: one.get("/v1/status/leader"))
    return one


def test_a_service_is_in_the_catalog_with_its_own_token_under_deny(consul: Server, app: Server) -> None:
    prove(app, DB)
    (found,) = catalog(consul).values()
    assert (found["Service"], found["Address"], found["Port"], found["Tags"], found["Meta"]) == ("db", "10.0.0.7", 5432, ["primary"], {"version": "16"})
    checks = [check for check in consul.get("/v1/health/service/db")[0]["Checks"] if check["ServiceID"] == "db"]
    assert sorted(check["Name"] for check in checks) == ["answers", "port"]
    assert not prove(app, DB)["changed"] and prove(app, DB, check_mode=True) == {"changed": False, "missing": [], "left": []}
    # The agent's own token may not do it, nor may the services' token write another service.
    for token, name in ((AGENT, "db"), (SERVICES, "bank")):
        with pytest.raises(OSError, match="403"):
            asked_as(app, token, "PUT", "/v1/agent/service/register", {"Name": name})


def test_another_id_takes_the_former_one_out_of_the_catalog(consul: Server, app: Server) -> None:
    prove(app, DB)
    asked_as(app, ROOT, "PUT", "/v1/agent/service/register", {"Name": "container", "ID": "container-1"})
    app.wait_for(lambda: "container-1" in catalog(consul))
    other = {**DB, "id": "db-1", "port": 5433}
    reread(app, other, PRINTER)
    with pytest.raises(ApiError, match=r"The catalog has not these services of app as they are declared, after 1 s: printer-1 \(refused by the servers"):
        prove(app, other, PRINTER, former_services=["db"], wait=1)
    rights(consul, other, PRINTER)
    reread(app, other, PRINTER)
    prove(app, other, PRINTER, former_services=["db"])
    assert {ident: one["Port"] for ident, one in catalog(consul).items()} == {"db-1": 5433, "printer-1": 631, "container-1": 0}


def test_services_that_are_not_declared_any_more_go_though_their_token_went_first(consul: Server, app: Server) -> None:
    """As the play of the servers comes before that of the clients. Consul before 1.15 would keep them for ever."""
    prove(app, DB)
    assert {"action": "delete", "kind": "token", "name": "services-app"} in rights(consul)["changes"]
    reread(app)
    prove(app, former_services=["db"])
    assert catalog(consul) == {}


def test_a_server_whose_services_had_no_token_yet_reads_them_again(consul: Server) -> None:
    consul.ready()
    reread(consul, DB)
    log = consul.folder / "consul.log"
    consul.wait_for(lambda: "Service registration blocked by ACLs: service=db" in log.read_text())
    assert catalog(consul, "node1") == {}
    assert prove(consul, DB, token=ROOT, check_mode=True) == {"changed": True, "missing": ["db"], "left": []}
    rights(consul, DB, node="node1")
    # By itself it would try again after a minute or two.
    prove(consul, DB, token=ROOT, reload=True, wait=20)
    assert set(catalog(consul, "node1")) == {"db"} and not prove(consul, DB, token=ROOT, reload=True)["changed"]


QUERY: Json = {"name": "database", "service": "db", "tags": ["primary"], "near": "_agent", "only_passing": True, "ttl": "5s"}


def asked(consul: Server, *queries: Json, check_mode: bool = False) -> Json:
    filled = [{"state": "present", **one} for one in queries]
    return prepared_query.converge(Client(consul.url, ROOT), {"queries": filled, "wait": 30}, check_mode)


def test_a_prepared_query_is_made_once_changed_and_answered_by_dns(consul: Server, app: Server) -> None:
    prove(app, DB)
    readers = {"name": "readers", "rules": 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } query_prefix "" { policy = "read" }'}
    rights(consul, DB, policies=[readers], tokens=[{"name": "reader", "secret": READER, "policies": ["readers"]}])
    predicted = asked(consul, QUERY, check_mode=True)
    assert consul.get("/v1/query") == []
    done = asked(consul, QUERY)
    assert done == predicted and done["changes"] == [{"action": "create", "name": "database"}]
    assert not asked(consul, QUERY)["changed"]
    answer = asked_as(app, READER, "GET", "/v1/query/database/execute")
    assert [one["Service"]["ID"] for one in answer["Nodes"]] == ["db"] and answer["DNS"]["TTL"] == "5s"
    app.token = ROOT
    app.put("/v1/agent/token/default", {"Token": READER})
    records = dns.query.udp(dns.message.make_query("database.query.consul", "SRV"), "127.0.0.1", timeout=5, port=app.ports["dns"])
    assert [one.port for answer in records.answer for one in answer] == [5432]

    other = {**QUERY, "tags": ["!primary"], "failover": {"nearest_n": 2, "datacenters": ["dc2", "dc3"]}}
    changed = asked(consul, other)
    assert changed["changes"] == [{"action": "update", "name": "database"}] and not asked(consul, other)["changed"]
    (held,) = consul.get("/v1/query")
    assert held["Service"]["Failover"] == {"NearestN": 2, "Datacenters": ["dc2", "dc3"]}
    assert changed["diff"]["before"]["database"]["Service"]["Tags"] == ["primary"]
    assert asked(consul, {"name": "database", "state": "absent"})["changed"] and consul.get("/v1/query") == []
    assert not asked(consul, {"name": "database", "state": "absent"})["changed"]


def test_a_query_of_somebody_else_stays_and_one_of_the_same_name_gives_its_token_back(consul: Server) -> None:
    for name in ("mine", "Database"):
        consul._request("POST", "/v1/query", json.dumps({"Name": name, "Token": ROOT, "Service": {"Service": "db"}}).encode())
    found = asked(consul, {"name": "database", "service": "db"})
    assert found["changes"] == [{"action": "update", "name": "database"}] and ROOT not in str(found)
    assert sorted((one["Name"], one["Token"]) for one in consul.get("/v1/query")) == [("database", ""), ("mine", ROOT)]
    assert not asked(consul, {"name": "database", "service": "db"})["changed"]


def maintained(app: Server, check_mode: bool = False, **options: t.Any) -> Json:
    return maintenance.converge(Reader(app.url, ROOT), {"service": None, "state": "present", "reason": "test", "wait": 20, **options}, check_mode)


@pytest.mark.parametrize("service", [None, "db"])
def test_what_is_in_maintenance_is_not_passing_and_is_put_back(consul: Server, app: Server, service: t.Optional[str]) -> None:
    prove(app, DB)
    assert maintained(app, check_mode=True, service=service)["changed"] and consul.get("/v1/health/service/db?passing")
    begun = maintained(app, service=service)
    assert begun["changed"] and consul.get("/v1/health/service/db?passing") == []
    again = maintained(app, service=service, reason="other")
    assert (again["changed"], again["reasons"]) == (False, ["test"])
    assert maintained(app, service=service, state="absent")["changed"] and consul.get("/v1/health/service/db?passing")
    assert not maintained(app, service=service, state="absent")["changed"]
    with pytest.raises(ApiError, match="The agent has no instance of `gone`"):
        maintained(app, service="gone")


def test_the_modules_themselves_show_no_secret(consul: Server, app: Server) -> None:
    def run(module: str, **options: t.Any) -> t.Tuple[int, str]:
        words = ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}", "-m", f"discovery.consul.{module}"]
        command = [sys.executable, "-m", "ansible.cli.adhoc", "localhost", *words, "-a", json.dumps(options), "--diff", "-vvv"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"})
        said = done.stdout + done.stderr
        assert not [secret for secret in (AGENT, SERVICES, ROOT) if secret in said] and "Traceback" not in said
        return done.returncode, said

    services = declared.written([DB], SERVICES)
    assert run("consul_node_services", url=app.url, token=AGENT, node="app", services=services)[0] == 0
    code, said = run("consul_node_services", url=app.url, token=AGENT, node="app", services=[{**services[0], "port": 1}], wait=1)
    assert code == 2 and "The catalog has not these services of app as they are declared, after 1 s: db (not read by the agent)" in said
    code, said = run("consul_prepared_query", url=app.url, token=AGENT, queries=[QUERY])
    assert code == 2 and "Consul did not create the prepared query database" in said and "Give a token with query:write on its name" in said
    assert run("consul_maintenance", url=app.url, token=AGENT, reason="test")[0] == 0
    assert run("consul_maintenance", url=app.url, token=AGENT, state="absent")[0] == 0
