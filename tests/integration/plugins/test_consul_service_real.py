# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup and the module, in a play against a real Consul."""

from __future__ import annotations

import json
import typing as t

from conftest import HOSTILE, Place

LOOKUP = "lookup('discovery.consul.consul_service', "


def test_one_list_and_url(place: Place) -> None:
    one, every, blue, none, plain, secure, two, note = place.values(
        LOOKUP + "'web')",
        LOOKUP + "'web', want='list')",
        LOOKUP + "'web', tag='blue', want='list')",
        LOOKUP + "'web', tag=['v1', 'v2'], want='list')",
        LOOKUP + "'web', tag='v2', want='url')",
        LOOKUP + "'web', tag='v1', want='url', scheme='https')",
        "query('discovery.consul.consul_service', 'web', 'consul') | map(attribute='node') | list",
        LOOKUP + "'web', tag='v2').meta.note",
    )
    assert (one["id"], one["address"], one["port"], one["node"], one["datacenter"], one["status"]) == ("web-1", "10.0.0.9", 8080, "outside", "dc1", "passing")
    # A value that is a template to whoever trusts it stays what it is.
    assert one["tags"] == ["v1", HOSTILE] and note == HOSTILE
    # One is a list as well, and none is, too.
    assert [[one["id"] for one in found] for found in (every, blue, none)] == [["web-1", "web-3"], ["web-3"], []]
    assert (plain, secure) == ("http://[fd00::3]:81", "https://10.0.0.9:8080")
    assert two == ["outside", "node1"]


def test_none_is_an_error_that_says_which(place: Place) -> None:
    place.server.register("sick", service="sick", Check={"TTL": "60s", "CheckID": "sick-ttl"})
    place.server.wait_for(lambda: place.server.get("/v1/health/service/sick"))
    cases = {
        "'absent')": "none is registered, or the token lacks service:read on it",
        "'web', tag='gone')": "Consul shows no instance of `web` with the tags gone",
        "'web', token_file='')": "or the token lacks service:read",
        "'web', token='12345678-1234-1234-1234-123456789012', token_file='')": "ACL not found",
        "'sick')": "No instance of `sick` is passing: sick on node1 is critical.",
        "'')": "The name of a service is empty.",
        "'web', want='all')": "want",
        "'web', url='http://127.0.0.1:1')": "gave no answer of Consul's",
        "'web', ca_path='/nowhere')": "There is no file /nowhere",
    }
    for said, message in zip(cases.values(), place.errors(*(LOOKUP + words for words in cases)), strict=True):
        assert said in message


def info(place: Place, **options: t.Any) -> t.Tuple[t.Dict[str, t.Any], str]:
    """What the module returns, and what Ansible warns of."""
    words = ["--inventory", "localhost,", "--connection", "local", "--module-name", "discovery.consul.consul_service_info", "--args", json.dumps(options)]
    found = place.ansible("adhoc", "localhost", *words, ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    return json.loads(found.stdout.partition("=> ")[2]), found.stderr


def test_the_module(place: Place) -> None:
    found, warned = info(place, name="web")
    assert [one["id"] for one in found["instances"]] == ["web-1", "web-3"] and found["registered"] == 3 and found["changed"] is False and not warned
    every, _unused = info(place, name="web", passing_only=False, tags=["v2"])
    assert {one["id"]: (one["status"], one["address"]) for one in every["instances"]} == {"web-2": ("critical", "10.0.0.8"), "web-3": ("passing", "fd00::3")}
    absent, warned = info(place, name="absent")
    assert absent["instances"] == [] and "lacks service:read" in " ".join(warned.split())
    refused, _unused = info(place, name="web", url="http://127.0.0.1:1")
    assert "instances" not in refused and "gave no answer of Consul's" in refused["msg"]
    token = place.reader.read_text().strip()
    given, warned = info(place, name="web", token=token)
    assert given["registered"] == 3 and token not in str(given) + warned
