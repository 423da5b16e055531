# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights in a real Consul: made, predicted, left alone, adopted, taken away; and what an application may do with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
import uuid

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import acl
from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_data import AclError, marked
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client
from servers import ROOT, Server, cluster

Json = t.Dict[str, t.Any]

SHOP, BANK = str(uuid.uuid4()), str(uuid.uuid4())
SETTINGS = {"name": "shop-settings", "rules": 'key_prefix "shop/" { policy = "read" }\n', "description": "What the shop reads"}
READERS = {"name": "readers", "policies": ["shop-settings"], "description": "Whoever reads"}
TOKEN = {"name": "shop", "secret": SHOP, "roles": ["readers"], "service_identities": [{"service_name": "shop"}], "description": "The shop"}
AGENT = {"name": "agent-n1", "secret": BANK, "node_identities": [{"node_name": "n1", "datacenter": "dc1"}], "owner": "dc1.agents"}
ALL: Json = {"policies": [SETTINGS], "roles": [READERS], "tokens": [TOKEN, AGENT]}


def converge(consul: Server, check_mode: bool = False, **options: t.Any) -> Json:
    everything = {"owner": "shop", "purge": False, "purge_superseded": False, "wait": 60, "policies": [], "roles": [], "tokens": [], **options}
    return acl.converge(Client(consul.url, ROOT), everything, check_mode)


def state(consul: Server) -> Json:
    return {kind: consul.get(f"/v1/acl/{kind}") for kind in ("policies", "roles", "tokens")}


def tokens(consul: Server) -> t.List[str]:
    return sorted(name for name, _owner in (marked(one["Description"]) for one in consul.get("/v1/acl/tokens")) if name)


def status(consul: Server, token: str, method: str, path: str, data: str = "") -> int:
    request = urllib.request.Request(consul.url + path, data.encode() or None, {"X-Consul-Token": token}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        # Consul 1.8.7 refuses its keyring with a status 500.
        return 403 if b"denied by ACLs" in error.read() else int(error.code)


def test_what_is_predicted_is_done_and_then_nothing_is(consul: Server) -> None:
    before = state(consul)
    predicted = converge(consul, check_mode=True, **ALL)
    assert state(consul) == before
    done = converge(consul, **ALL)
    assert done == predicted and [one["name"] for one in done["changes"]] == ["shop-settings", "readers", "shop", "agent-n1"]
    after = state(consul)
    assert not converge(consul, **ALL)["changed"] and not converge(consul, check_mode=True, **ALL)["changed"]
    assert state(consul) == after


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("policies", {**SETTINGS, "rules": 'key_prefix "shop/" { policy = "write" }'}),
        ("policies", {**SETTINGS, "datacenters": ["dc1"]}),
        ("policies", {**SETTINGS, "description": "Other words"}),
        ("roles", {**READERS, "service_identities": [{"service_name": "db", "datacenters": ["dc1"]}]}),
        ("tokens", {**TOKEN, "roles": []}),
        ("tokens", {**TOKEN, "policies": ["shop-settings"]}),
        ("tokens", {**TOKEN, "node_identities": [{"node_name": "n2", "datacenter": "dc1"}]}),
    ],
)
def test_each_field_is_compared_and_changed_alone(consul: Server, kind: str, change: Json) -> None:
    converge(consul, **ALL)
    wanted = {**ALL, kind: [change, *ALL[kind][1:]]}
    predicted = converge(consul, check_mode=True, **wanted)
    done = converge(consul, **wanted)
    assert done == predicted and [(one["action"], one["name"]) for one in done["changes"]] == [("update", change["name"])]
    assert not converge(consul, **wanted)["changed"]
    assert status(consul, SHOP, "GET", "/v1/acl/token/self") == 200


def test_an_applications_token_may_do_what_it_may_and_nothing_else(consul: Server) -> None:
    converge(consul, **ALL)
    consul._request("PUT", "/v1/kv/shop/color", b"red")
    allowed = [
        ("GET", "/v1/kv/shop/color", ""),
        ("PUT", "/v1/agent/service/register", '{"Name": "shop"}'),
        ("GET", "/v1/health/service/shop", ""),
        ("PUT", "/v1/agent/service/deregister/shop", ""),
    ]
    denied = [
        ("PUT", "/v1/kv/shop/color", "blue"),
        ("GET", "/v1/kv/bank/account", ""),
        ("PUT", "/v1/agent/service/register", '{"Name": "bank"}'),
        ("GET", "/v1/acl/tokens", ""),
        ("GET", "/v1/operator/keyring", ""),
        ("GET", "/v1/operator/raft/configuration", ""),
        ("GET", "/v1/snapshot", ""),
        ("PUT", "/v1/agent/leave", ""),
    ]
    assert [status(consul, SHOP, *call) for call in allowed] == [200] * len(allowed)
    assert [status(consul, SHOP, *call) for call in denied] == [403] * len(denied)


def test_two_owners_never_remove_each_others_rights(consul: Server) -> None:
    converge(consul, **ALL)
    converge(consul, owner="bank", policies=[{"name": "bank", "rules": 'key_prefix "bank/" { policy = "read" }'}])
    purged = converge(consul, owner="bank", purge=True)
    assert [one["name"] for one in purged["changes"]] == ["bank"]
    assert not converge(consul, **ALL)["changed"]
    with pytest.raises(AclError, match="belongs to shop, and is declared for bank"):
        converge(consul, owner="bank", policies=[SETTINGS])
    assert [one["kind"] for one in converge(consul, purge=True)["changes"]] == ["token", "role", "policy"]
    assert tokens(consul) == ["agent-n1"]
    assert {one["Name"] for one in consul.get("/v1/acl/policies")} == {"global-management"}


def test_a_rotation_leaves_the_former_secret_valid_until_the_purge(consul: Server) -> None:
    new = {**TOKEN, "secret": str(uuid.uuid4())}
    converge(consul, **ALL)
    rotated = converge(consul, **{**ALL, "tokens": [new, AGENT]})
    assert len(rotated["superseded"]) == 1
    assert [status(consul, secret, "GET", "/v1/acl/token/self") for secret in (SHOP, new["secret"])] == [200, 200]
    assert converge(consul, **{**ALL, "tokens": [new, AGENT]}, purge=True)["changes"] == [{"action": "delete", "kind": "token", "name": "shop"}]
    assert [status(consul, secret, "GET", "/v1/acl/token/self") for secret in (SHOP, new["secret"])] == [403, 200]
    assert tokens(consul) == ["agent-n1", "shop"]


def test_what_an_older_release_of_the_collection_made_is_adopted_and_not_doubled(consul: Server) -> None:
    consul.put("/v1/acl/policy", {"Name": "shop-settings", "Description": "What the shop reads", "Rules": SETTINGS["rules"]})
    accessor = "cb64a7f6-9f2e-5ad5-95a5-1d1ad53ee32c"
    identities = [{"NodeName": "n1", "Datacenter": "dc1"}]
    consul.put("/v1/acl/token", {"AccessorID": accessor, "SecretID": BANK, "Description": "The agent n1", "NodeIdentities": identities})
    before = state(consul)
    adopted = converge(consul, policies=[SETTINGS], tokens=[AGENT])
    assert [one["action"] for one in adopted["changes"]] == ["update", "update"] and adopted["accessors"] == {"agent-n1": accessor}
    after = state(consul)
    assert [one["ID"] for one in after["policies"]] == [one["ID"] for one in before["policies"]]
    assert {one["AccessorID"] for one in after["tokens"]} == {one["AccessorID"] for one in before["tokens"]}
    assert not converge(consul, policies=[SETTINGS], tokens=[AGENT])["changed"]
    gone = converge(consul, owner="dc1.agents", tokens=[{"name": "agent-n1", "state": "absent"}])
    assert [one["action"] for one in gone["changes"]] == ["delete"] and tokens(consul) == []


def test_rules_that_consul_cannot_read_are_said_with_its_words(consul: Server) -> None:
    with pytest.raises(ApiError, match=r"Consul did not create the policy broken: .*Failed to parse ACL rules"):
        converge(consul, policies=[{"name": "broken", "rules": "key {"}])


def test_the_management_token_is_not_adopted(consul: Server) -> None:
    with pytest.raises(AclError, match="has the secret of the token that this is done with"):
        converge(consul, tokens=[{"name": "mine", "secret": ROOT}])
    assert status(consul, ROOT, "GET", "/v1/acl/tokens") == 200


def test_a_run_through_servers_that_have_just_started_waits_until_they_can(server: t.Callable[..., Server]) -> None:
    servers = cluster(server)
    began = time.monotonic()
    assert converge(servers[2], **ALL)["changed"]
    assert not converge(servers[0], **ALL)["changed"]
    assert time.monotonic() - began < 60


def test_a_lost_leader_is_waited_for_and_then_said(server: t.Callable[..., Server]) -> None:
    alone = server(bootstrap_expect=3)
    alone.wait_for(lambda: status(alone, ROOT, "GET", "/v1/status/leader") == 200)
    began = time.monotonic()
    with pytest.raises(ApiError, match=r"there is no leader|legacy mode|ACL not found"):
        converge(alone, wait=2, policies=[SETTINGS])
    assert time.monotonic() - began >= 2


def module(consul: Server, *words: str, **options: t.Any) -> t.Tuple[int, str]:
    """Run the module as Ansible does, and return everything that it shows."""
    arguments = json.dumps({"url": consul.url, "token": ROOT, "owner": "shop", **options})
    local = ["-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    ansible = [sys.executable, "-m", "ansible.cli.adhoc", "localhost", "-i", "localhost,", *local, "-m", "discovery.consul.consul_acl", "-a", arguments]
    done = subprocess.run([*ansible, *words], capture_output=True, text=True, check=False, env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"})
    return done.returncode, done.stdout + done.stderr


def test_the_module_itself_shows_no_secret_wherever_it_is_asked(consul: Server) -> None:
    code, shown = module(consul, "--check", "--diff", "-vvv", **ALL)
    assert (code, "CHANGED" in shown, tokens(consul)) == (0, True, [])
    assert "shop-settings" in shown and "[discovery.consul: shop of shop]" in shown
    code, made = module(consul, "--diff", **ALL)
    assert (code, "CHANGED" in made, tokens(consul)) == (0, True, ["agent-n1", "shop"])
    code, again = module(consul, "--diff", **ALL)
    assert (code, "SUCCESS" in again) == (0, True)
    code, failed = module(consul, owner="bank", tokens=[TOKEN])
    assert (code, "The token shop belongs to shop" in failed) == (2, True)
    for text in (shown, made, again, failed):
        assert SHOP not in text and BANK not in text and ROOT not in text and "Traceback" not in text
