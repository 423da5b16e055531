# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a real Consul, as `ansible-inventory` shows it."""

from __future__ import annotations

import json
import typing as t

from conftest import HOSTILE, Place


def names(found: t.Dict[str, t.Any]) -> t.Set[str]:
    return set(found["_meta"]["hostvars"])


def test_nodes_are_hosts_and_what_they_say_is_data(place: Place) -> None:
    found = place.inventory()
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["_meta"]["hostvars"]["node1"]["consul_node"] == {"__ansible_unsafe": "node1"}
    hosts = place.hosts()["_meta"]["hostvars"]
    assert set(hosts) == {"node1", "node2", "db.example", "outside"}
    db = hosts["db.example"]
    assert (db["ansible_host"], db["consul_node"], db["consul_datacenter"], db["consul_services"]) == ("10.0.0.7", "db.example", "dc1", {})
    assert db["consul_meta"]["zone"] == "a" and db["consul_meta"]["note"] == HOSTILE
    # Neither an option of ssh nor the controller itself.
    assert "'-oProxyCommand=x' with the address" in found.stderr and "'localhost' with the address" in " ".join(found.stderr.split())


def test_a_hostile_value_is_no_template(place: Place) -> None:
    file = place.folder / "data.consul.yml"
    file.write_text("plugin: discovery.consul.consul_nodes\n")
    words = ["--inventory", str(file), "--connection", "local", "--module-name", "ansible.builtin.debug", "--args", "msg={{ consul_meta.note }}"]
    found = place.ansible("adhoc", "db.example", *words)
    assert found.returncode == 0 and HOSTILE in found.stdout.replace("''", "'"), found.stdout + found.stderr


def test_filters_metadata_services_and_passing(place: Place) -> None:
    assert names(place.hosts(filter='Meta.zone == "a"')) == {"db.example", "outside"}
    assert names(place.hosts(filter='Meta.zone == "a"', node_meta={"note": HOSTILE})) == {"db.example"}
    assert names(place.hosts(node_meta={"zone": "b"})) == {"node2"}
    web = place.hosts(services=["web"])["_meta"]["hostvars"]
    assert set(web) == {"outside"} and [one["status"] for one in web["outside"]["consul_services"]["web"]] == ["passing", "critical", "passing"]
    passing = place.hosts(services=["web", "consul"], passing_only=True)["_meta"]["hostvars"]
    assert set(passing) == {"outside", "node1"} and [one["id"] for one in passing["outside"]["consul_services"]["web"]] == ["web-1", "web-3"]
    assert names(place.hosts(services=["*"])) == {"node1", "node2", "db.example", "outside"}


def test_a_node_that_is_in_maintenance_is_not_passing(place: Place) -> None:
    node2 = place.started[1]
    node2.token = place.server.token
    node2.put("/v1/agent/maintenance?enable=true")
    try:
        place.server.wait_for(lambda: any(check["CheckID"] == "_node_maintenance" for check in place.server.get("/v1/health/node/node2")))
        assert names(place.hosts(passing_only=True)) == {"node1", "db.example", "outside"}
    finally:
        node2.put("/v1/agent/maintenance?enable=false")


def test_groups_and_variables_are_composed(place: Place) -> None:
    found = place.hosts(
        services=["web"],
        hostname="address",
        compose={"web_port": "consul_services.web[0].port"},
        groups={"blue": "'blue' in consul_services.web | map(attribute='tags') | flatten"},
        keyed_groups=[{"key": "consul_meta.zone", "prefix": "zone"}],
    )
    assert found["_meta"]["hostvars"]["10.0.0.8"]["web_port"] == 8080
    assert found["blue"]["hosts"] == found["zone_a"]["hosts"] == ["10.0.0.8"]


def test_the_groups_of_the_old_script(place: Place) -> None:
    found = place.hosts(add_legacy_groups=True)
    assert set(found["dc1"]["hosts"]) == {"node1", "node2", "db.example", "outside"}
    groups = ("web", "web_v1", "web_v2", "web_blue", "web_available", "web_unavailable")
    assert all(found[group]["hosts"] == ["outside"] for group in groups)
    assert found["consul_available"]["hosts"] == ["node1"] and "consul_unavailable" not in found


def test_what_a_token_may_not_see_is_not_left_out_silently(place: Place) -> None:
    """Consul 1.8 answers with the nodes that the token may see, and status 200."""
    few = {"CONSUL_HTTP_TOKEN_FILE": str(place.one_node)}
    found = place.inventory(environment=few)
    assert found.returncode != 0 and "Consul shows 1 of the 2 members of its datacenter" in " ".join(found.stderr.split())
    assert names(place.hosts(compare_members=False, environment=few)) == {"node1"}
    nothing = place.inventory(environment={"CONSUL_HTTP_TOKEN_FILE": ""})
    assert nothing.returncode != 0 and "Give a token with agent:read" in " ".join(nothing.stderr.split())


def test_trouble_ends_a_play_and_is_said(place: Place) -> None:
    cases: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
        ({"filter": "Meta.zone =="}, "Consul did not list its nodes"),
        ({"datacenters": ["nowhere"], "compare_members": False}, "in the datacenter nowhere"),
        ({"url": "http://127.0.0.1:1"}, "gave no answer of Consul's"),
        ({"url": place.https.replace("https", "http")}, "an HTTP request to an HTTPS server"),
        ({"url": "ftp://x"}, "it is no URL of an HTTP API"),
        ({"ca_path": "/nowhere.pem"}, "There is no file /nowhere.pem"),
        ({"token_file": "/nowhere"}, "cannot be read from the file /nowhere"),
        ({"hostname": "both"}, "hostname"),
    ]
    for options, words in cases:
        found = place.inventory(**options)
        assert found.returncode != 0 and words in " ".join(found.stderr.split()), (options, found.stderr)
    secret = place.reader.read_text().strip()
    wrong = place.inventory(token=f"{secret}\nX: y")
    assert wrong.returncode != 0 and secret not in wrong.stdout + wrong.stderr
    unseen = place.inventory(services=["absent"])
    assert unseen.returncode == 0 and "Consul shows no instance of `absent`" in " ".join(unseen.stderr.split())


def test_a_cache_saves_the_questions_until_they_change(place: Place) -> None:
    caching = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(place.folder / "cache")}
    assert "node2" in names(place.hosts(**caching))
    away = {"CONSUL_HTTP_TOKEN_FILE": "/nowhere"}
    assert "node2" in names(place.hosts(**caching, environment=away))
    assert place.inventory(**caching, node_meta={"zone": "b"}, environment=away).returncode != 0
    cached = "".join(file.read_text() for file in (place.folder / "cache").iterdir())
    assert HOSTILE in cached.replace("\\", "") and place.reader.read_text().strip() not in cached


def test_two_datacenters_and_a_name_that_is_in_both(place: Place) -> None:
    near = place.start("near")
    far = place.start("far", datacenter="dc2", retry_join_wan=[f"127.0.0.1:{near.ports['serf_wan']}"], retry_interval_wan="1s")
    near.wait_for(lambda: near.get("/v1/catalog/nodes?dc=dc2") and near.get("/v1/health/service/consul?passing"))
    far.register("f1", service="web")
    far.wait_for(lambda: far.get("/v1/catalog/service/web"))
    plain = {"CONSUL_HTTP_ADDR": near.url, "CONSUL_CACERT": "", "CONSUL_HTTP_TOKEN_FILE": ""}
    both = {"datacenters": ["dc1", "dc2"], "environment": plain}
    hosts = place.hosts(**both, services=["*"])["_meta"]["hostvars"]
    assert {host: one["consul_datacenter"] for host, one in hosts.items()} == {"near": "dc1", "far": "dc2"}
    assert hosts["far"]["consul_services"]["web"][0]["datacenter"] == "dc2"
    for one in (near, far):
        one.put("/v1/catalog/register", {"Node": "twin", "Address": "10.0.0.5"})
    twins = place.inventory(**both)
    assert twins.returncode != 0 and "Consul has two nodes twin: twin in dc1 and twin in dc2" in " ".join(twins.stderr.split())
