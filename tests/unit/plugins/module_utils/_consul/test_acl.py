# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rights become what is declared, nothing of another owner is touched, and no secret is shown."""

from __future__ import annotations

import json
import typing as t

import pytest
from acl_cluster import LEGACY, MANAGEMENT, Acls
from ansible_collections.discovery.consul.plugins.module_utils._consul import acl, api
from ansible_collections.discovery.consul.plugins.module_utils._consul.acl_data import AclError, declared, mark, marked
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer

Json = t.Dict[str, t.Any]

WEB, OTHER = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
POLICY = {"name": "web", "rules": 'key_prefix "web/" { policy = "read" }\n', "description": "The shop's settings"}
ROLE = {"name": "readers", "policies": ["web"]}
TOKEN = {"name": "web", "secret": WEB, "policies": ["web"], "roles": ["readers"], "service_identities": [{"service_name": "web"}]}
ALL: Json = {"policies": [POLICY], "roles": [ROLE], "tokens": [TOKEN]}


def converge(cluster: t.Any, check_mode: bool = False, **options: t.Any) -> Json:
    return acl.converge(
        cluster, {"owner": "shop", "purge": False, "purge_superseded": False, "wait": 0, "policies": [], "roles": [], "tokens": [], **options}, check_mode
    )


def descriptions(cluster: Acls, kind: str) -> list[str]:
    return [one["Description"] for one in cluster.objects[kind].values() if marked(one["Description"])[1]]


def test_what_is_declared_is_made_in_order_and_then_left_alone() -> None:
    cluster = Acls()
    predicted = converge(cluster, check_mode=True, **ALL)
    assert cluster.told == []
    done = converge(cluster, **ALL)
    assert cluster.told == ["create policy web", "create role readers", "create token [discovery.consul: web of shop]"]
    assert done == predicted
    again = converge(cluster, **ALL)
    assert (again["changed"], len(cluster.told), again["accessors"]) == (False, 3, done["accessors"])
    assert descriptions(cluster, "policy") == ["The shop's settings [discovery.consul: web of shop]"]


def test_no_secret_is_in_what_is_returned() -> None:
    assert WEB not in json.dumps(converge(Acls(), **ALL))


def test_only_what_differs_changes_and_the_diff_shows_it() -> None:
    cluster = Acls()
    converge(cluster, **ALL)
    cluster.told.clear()
    found = converge(cluster, **{**ALL, "policies": [{**POLICY, "rules": 'key "web/x" { policy = "read" }'}]})
    assert cluster.told == ["update policy web"]
    assert found["changes"] == [{"action": "update", "kind": "policy", "name": "web"}]
    assert [list(side) for side in found["diff"].values()] == [["policies"], ["policies"]]
    assert found["diff"]["after"]["policies"]["web"]["rules"] == 'key "web/x" { policy = "read" }'


def test_a_purge_takes_what_its_owner_does_not_declare_and_nothing_else() -> None:
    cluster = Acls()
    converge(cluster, **ALL)
    converge(cluster, owner="bank", tokens=[{"name": "bank", "secret": OTHER}], policies=[{"name": "bank", "rules": ""}])
    cluster.told.clear()
    assert not converge(cluster, purge=False)["changed"]
    converge(cluster, purge=True)
    assert [told.rsplit(" ", 1)[0] for told in cluster.told] == ["delete token", "delete role", "delete policy"]
    assert descriptions(cluster, "token") == ["[discovery.consul: bank of bank]"] and len(cluster.objects["token"]) == 2
    assert {one["Name"] for one in cluster.objects["policy"].values()} == {"global-management", "bank"}


def test_entries_of_other_owners_are_kept_by_a_purge() -> None:
    cluster = Acls()
    mixed = {"tokens": [{**TOKEN, "policies": [], "roles": []}, {"name": "agent-a", "secret": OTHER, "owner": "dc1.agents"}]}
    converge(cluster, **mixed)
    assert descriptions(cluster, "token") == ["[discovery.consul: web of shop]", "[discovery.consul: agent-a of dc1.agents]"]
    converge(cluster, purge=True)
    assert descriptions(cluster, "token") == ["[discovery.consul: agent-a of dc1.agents]"]


def test_another_owners_policy_is_refused_before_anything_is_changed() -> None:
    cluster = Acls()
    converge(cluster, policies=[POLICY])
    with pytest.raises(AclError, match=r"The policy web belongs to shop, and is declared for bank"):
        converge(cluster, owner="bank", policies=[{"name": "new"}, POLICY])
    assert cluster.told == ["create policy web"]


def test_another_secret_makes_a_second_token_and_the_former_goes_at_a_purge() -> None:
    cluster = Acls()
    former = converge(cluster, tokens=[{"name": "web", "secret": WEB}])["accessors"]["web"]
    rotated = converge(cluster, tokens=[{"name": "web", "secret": OTHER}])
    assert rotated["superseded"] == [former] and rotated["accessors"]["web"] != former
    assert converge(cluster, tokens=[{"name": "web", "secret": OTHER}])["superseded"] == [former]
    purged = converge(cluster, purge=True, tokens=[{"name": "web", "secret": OTHER}])
    assert purged["changes"] == [{"action": "delete", "kind": "token", "name": "web"}] and purged["superseded"] == []
    assert list(purged["diff"]["before"]["tokens"]) == [f"web ({former})"]


def test_former_secrets_alone_can_be_purged() -> None:
    cluster = Acls()
    former = converge(cluster, tokens=[{"name": "web", "secret": WEB}])["accessors"]["web"]
    kept = converge(cluster, tokens=[{"name": "web", "secret": OTHER}, {"name": "else", "secret": OTHER.replace("2", "3")}])["accessors"]
    found = converge(cluster, purge_superseded=True, tokens=[{"name": "web", "secret": OTHER}])
    assert list(found["diff"]["before"]["tokens"]) == [f"web ({former})"] and found["superseded"] == []
    assert set(cluster.objects["token"]) == {cluster.management, *kept.values()}


def test_what_an_older_release_made_is_adopted() -> None:
    cluster = Acls()
    cluster.put("/v1/acl/policy", json.dumps({"Name": "web", "Description": "of old", "Rules": "", "Datacenters": None}))
    cluster.put("/v1/acl/token", json.dumps({"AccessorID": "of-old", "SecretID": WEB, "Description": "The web", "Policies": [], "Local": True}))
    cluster.told.clear()
    found = converge(cluster, policies=[POLICY], tokens=[{"name": "web", "secret": WEB, "policies": ["web"]}])
    assert cluster.told == ["update policy web", "update token [discovery.consul: web of shop]"]
    assert found["accessors"] == {"web": "of-old"}
    assert cluster.objects["token"]["of-old"]["SecretID"] == WEB and cluster.objects["token"]["of-old"]["Local"]
    assert not converge(cluster, policies=[POLICY], tokens=[{"name": "web", "secret": WEB, "policies": ["web"]}])["changed"]


def test_the_token_that_calls_is_never_adopted() -> None:
    cluster = Acls()
    with pytest.raises(AclError, match=r"The token web has the secret of the token that this is done with"):
        converge(cluster, tokens=[{"name": "web", "secret": MANAGEMENT}])
    assert cluster.told == []


def test_absent_takes_a_token_by_its_mark_and_by_its_secret() -> None:
    cluster = Acls()
    converge(cluster, tokens=[{"name": "web", "secret": WEB}])
    cluster.put("/v1/acl/token", json.dumps({"AccessorID": "of-old", "SecretID": OTHER, "Description": "The web"}))
    found = converge(cluster, tokens=[{"name": "web", "secret": OTHER, "state": "absent"}])
    assert [one["action"] for one in found["changes"]] == ["delete", "delete"]
    assert list(cluster.objects["token"]) == [cluster.management]
    assert not converge(cluster, tokens=[{"name": "web", "state": "absent"}])["changed"]


def test_a_deletion_of_what_has_gone_already_is_no_error() -> None:
    class Racing(Acls):
        def delete(self, path: str, data: str = "", **params: str) -> Answer:
            super().delete(path)
            return super().delete(path)

    cluster = Racing()
    converge(cluster, tokens=[{"name": "web", "secret": WEB}])
    assert converge(cluster, purge=True)["changed"]


def test_a_deletion_that_consul_refuses_is_one() -> None:
    class Refusing(Acls):
        def delete(self, path: str, data: str = "", **params: str) -> Answer:
            return Answer(status=500, data="not today")

    cluster = Refusing()
    converge(cluster, policies=[POLICY])
    with pytest.raises(api.ApiError, match=r"Consul did not delete the policy web: status 500, not today"):
        converge(cluster, purge=True)


def test_a_policy_that_neither_is_declared_nor_exists_is_refused_in_check_mode_too() -> None:
    with pytest.raises(AclError, match=r"The token web names the role readers, which neither is declared nor exists"):
        converge(Acls(), check_mode=True, policies=[POLICY], tokens=[TOKEN])
    cluster = Acls()
    converge(cluster, policies=[POLICY])
    with pytest.raises(AclError, match=r"The token web names the policy web"):
        converge(cluster, purge=True, tokens=[{"name": "web", "secret": WEB, "policies": ["web"]}])


def test_a_legacy_acl_system_is_waited_for_as_long_as_it_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acl, "PAUSE", 0)
    cluster = Acls()
    cluster.trouble = [LEGACY, LEGACY, Answer(status=403, data="ACL not found")]
    assert converge(cluster, wait=60, policies=[POLICY])["changed"]
    cluster.trouble = [LEGACY]
    with pytest.raises(api.ApiError, match=r"The ACL system is currently in legacy mode"):
        converge(cluster, wait=0, policies=[POLICY])


def test_what_does_not_pass_is_not_waited_for() -> None:
    cluster = Acls()
    cluster.trouble = [Answer(status=401, data="ACL support disabled")]
    with pytest.raises(api.ApiError, match=r"Consul did not list the policies: status 401, ACL support disabled"):
        converge(cluster, wait=60, policies=[POLICY])


def test_in_check_mode_a_secret_may_be_missing() -> None:
    cluster = Acls()
    nameless = [{"name": "web"}]
    assert converge(cluster, check_mode=True, tokens=nameless)["changes"] == [{"action": "create", "kind": "token", "name": "web"}]
    with pytest.raises(AclError, match=r"The token web has no secret"):
        converge(cluster, tokens=nameless)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policies": [{"name": "a b"}]}, "'a b' is no name of a policy"),
        ({"owner": "me [x]"}, "'me \\[x\\]' is no name of an owner"),
        ({"policies": [POLICY, POLICY]}, "The policy web is declared twice"),
        ({"tokens": [{"name": "web", "secret": "swordfish"}]}, "The secret of the token web is no UUID"),
        ({"tokens": [{"name": "a", "secret": WEB}, {"name": "b", "secret": WEB.upper()}]}, "The tokens a and b have the same secret"),
    ],
)
def test_what_contradicts_itself_is_refused_in_a_sentence(options: Json, words: str) -> None:
    with pytest.raises(AclError, match=words) as caught:
        converge(Acls(), **{"policies": [{"name": "fine"}], **options})
    assert "swordfish" not in str(caught.value)


def test_a_mark_counts_only_at_the_end() -> None:
    assert marked(f"Text {mark('a', 'b')}") == ("a", "b")
    assert marked(f"{mark('a', 'b')} and more") == ("", "")
    assert marked(None) == ("", "")


def test_a_secret_is_in_no_representation() -> None:
    (entry,) = declared({"owner": "shop", "policies": [], "roles": [], "tokens": [{"name": "web", "secret": WEB}]}, secrets_needed=True)
    assert WEB not in repr(entry)
