# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library does with a real Consul."""

from __future__ import annotations

import concurrent.futures
import pathlib
import shutil
import signal
import typing as t

import pytest
from consul_discovery import Client, NotReady
from fake_consul import eventually
from servers import ACL, Server, cluster, leader_of

Start = t.Callable[..., Server]
Connect = t.Callable[..., Client]

READ = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'


def ids(web: t.Any) -> t.List[str]:
    return [one.id for one in web.instances]


def test_instances_checks_tags_and_maintenance(server: Start, connect: Connect) -> None:
    consul = server().ready()
    consul.register("a", tags=["v1"])
    consul.register("b", Tags=["v1", "v2"], Meta={"zone": "x"}, Check={"TTL": "60s", "Status": "passing", "CheckID": "b-ttl"})
    consul.register("c", service="other")
    client = connect(consul.url)
    web, warned, v2 = client.watch("web"), client.watch("web", ["v1"], warning=True), client.watch("web", ["v1", "v2"])
    assert [one.id for one in web.wait(10)] == ["a", "b"] and [one.id for one in v2.wait(10)] == ["b"]
    assert (v2.pick().address, v2.pick().port, dict(v2.pick().meta), v2.pick().node) == ("10.0.0.1", 80, {"zone": "x"}, "node1")
    consul.put("/v1/agent/check/warn/b-ttl")
    eventually(lambda: ids(web) == ["a"] and v2.instances == () and v2.registered[0].status == "warning" and len(ids(warned)) == 2)
    consul.put("/v1/agent/check/pass/b-ttl")
    eventually(lambda: ids(web) == ["a", "b"])
    consul.put("/v1/agent/service/maintenance/a?enable=true&reason=x")
    eventually(lambda: ids(web) == ["b"] and len(web.registered) == 2 and ids(warned) == ["b"])
    consul.put("/v1/agent/maintenance?enable=true")
    eventually(lambda: web.instances == () and {one.status for one in web.registered} == {"maintenance"})
    consul.put("/v1/agent/maintenance?enable=false")
    consul.put("/v1/agent/service/maintenance/a?enable=false")
    eventually(lambda: ids(web) == ["a", "b"])
    consul.deregister("a")
    consul.deregister("b")
    eventually(lambda: web.registered == ())
    assert web.problem == ""


def test_the_list_survives_an_agent_that_is_killed_or_hangs(server: Start, connect: Connect, tmp_path: pathlib.Path) -> None:
    consul = server().ready()
    consul.register("a")
    options = {"cache_file": str(tmp_path / "cache.json"), "wait": 1}
    client = connect(consul.url, **options)
    web = client.watch("web")
    web.wait(10)
    consul.process.send_signal(signal.SIGSTOP)
    before = web.age
    eventually(lambda: web.age and before is not None and web.age > before + 1)
    assert web.pick().id == "a"
    consul.process.send_signal(signal.SIGCONT)
    consul.kill()
    eventually(lambda: "refuses connections" in web.problem)
    assert web.pick().id == "a" and web.call(lambda one: one.port) == 80
    client.close()
    another = connect(consul.url, **options).watch("web")
    assert another.wait(10)[0].id == "a" and another.from_cache
    consul.start()
    consul.ready()
    eventually(lambda: another.problem == "" and not another.from_cache)
    consul.register("b")
    eventually(lambda: ids(another) == ["a", "b"])


def test_an_agent_that_forgot_all_is_believed_once_it_is_certain(server: Start, connect: Connect) -> None:
    """Its index is lower than before, and its list really is empty."""
    consul = server().ready()
    for number in range(30):
        consul.register(f"web-{number}")
    web = connect(consul.url).watch("web")
    eventually(lambda: web.wait(10) and len(web.instances) == 30)
    consul.kill()
    shutil.rmtree(consul.folder / "data")
    consul.start()
    consul.ready()
    eventually(lambda: web.instances == () and web.problem == "")
    consul.register("new")
    eventually(lambda: ids(web) == ["new"])


def test_rights_that_are_taken_away_do_not_empty_a_list(server: Start, connect: Connect) -> None:
    """Consul 1.8 answers ``[]`` then, just as if there were no instance."""
    consul = server(acl=ACL).ready()
    consul.policy("read", READ)
    consul.policy("nothing", 'key_prefix "x" { policy = "read" }')
    token = consul.make_token("read")
    consul.register("a")
    web = connect(consul.url, token=token["SecretID"], wait=1).watch("web")
    web.wait(10)
    eventually(lambda: web.rights)
    consul.put(f"/v1/acl/token/{token['AccessorID']}", {"Policies": [{"Name": "nothing"}]})
    eventually(lambda: "is not known to be what it was" in web.problem or "keep" in web.problem, 30)
    assert ids(web) == ["a"]
    consul.put(f"/v1/acl/token/{token['AccessorID']}", {"Policies": [{"Name": "read"}]})
    eventually(lambda: web.problem == "", 30)
    consul.deregister("a")
    eventually(lambda: web.instances == (), 30)


def test_a_token_that_was_deleted_does_not_empty_a_list_and_a_new_file_is_taken(server: Start, connect: Connect, tmp_path: pathlib.Path) -> None:
    consul = server(acl=ACL).ready()
    consul.policy("read", READ)
    first, second = consul.make_token("read"), consul.make_token("read")
    consul.register("a")
    file = tmp_path / "token"
    file.write_text(first["SecretID"])
    web = connect(consul.url, token_file=str(file), wait=1).watch("web")
    web.wait(10)
    consul._request("DELETE", f"/v1/acl/token/{first['AccessorID']}")
    # Agents keep for up to 30 s what they knew of a token; Consul's own cache is as old as it is.
    eventually(lambda: web.problem, 60)
    assert ids(web) == ["a"] and first["SecretID"] not in web.problem
    file.write_text(second["SecretID"])
    eventually(lambda: web.problem == "", 30)
    consul.register("b")
    eventually(lambda: ids(web) == ["a", "b"])


def test_without_rights_there_is_no_list_but_a_reason(server: Start, connect: Connect) -> None:
    consul = server(acl=ACL).ready()
    web = connect(consul.url, token="22222222-2222-2222-2222-222222222222").watch("web")
    with pytest.raises(NotReady, match=r'answered 403: ACL not found.*the token needs `service "web"'):
        web.wait(1)


def test_a_leader_that_is_killed_costs_no_list(server: Start, connect: Connect) -> None:
    servers = cluster(server)
    old = leader_of(servers)
    asked = next(one for one in servers if one is not old)
    asked.register("a")
    web = connect(asked.url).watch("web")
    web.wait(10)
    seen = [len(web.instances)]
    web.subscribe(lambda _unused: seen.append(len(web.instances)))
    old.kill()
    asked.wait_for(lambda: asked.put("/v1/kv/x", 1, answer=True) is True, 60)
    asked.register("b")
    eventually(lambda: ids(web) == ["a", "b"], 30)
    assert min(seen) >= 1 and web.problem == ""


def test_a_hundred_and_fifty_watches_on_one_agent(server: Start, connect: Connect) -> None:
    consul = server().ready()
    client = connect(consul.url)
    watches = [client.watch(f"s{number}") for number in range(150)]
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda number: consul.register("x", service=f"s{number}") if number % 50 == 0 else None, range(150)))
    eventually(lambda: all(watch.wait(10) is not None for watch in watches), 60)
    consul.register("y", service="s149")
    eventually(lambda: len(watches[149].instances) == 1)
    assert [watch.problem for watch in watches] == [""] * 150
