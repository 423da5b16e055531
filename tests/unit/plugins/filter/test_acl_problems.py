# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an inventory declares of rights is judged before anything exists."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.filter.acl_problems import acl_problems

Json = t.Dict[str, t.Any]

SECRET = "aaaaaaaa-0000-4000-8000-000000000001"


def test_what_is_right_has_no_problems() -> None:
    token = {"name": "shop", "roles": ["readers"], "service_identities": [{"service_name": "shop"}]}
    assert acl_problems([{"name": "shop", "rules": ""}], [{"name": "readers", "policies": ["shop"]}], [token, {"name": "lb", "secret": SECRET}]) == []
    assert acl_problems([], [], []) == []


@pytest.mark.parametrize(
    ("policies", "tokens", "words"),
    [
        ([{"name": "discovery-dns"}], [], "The policy discovery-dns cannot be declared"),
        ([], [{"name": "operator"}], "The token operator cannot be declared"),
        ([], [{"name": "agent-node1"}], "The token agent-node1 cannot be declared"),
        ([], [{"name": "services-node1"}], "The token services-node1 cannot be declared"),
        ([], [{"name": "shop", "owner": "dc1.cluster"}], "The token shop names an owner"),
        ([], [{"name": "../shop"}], "'../shop' is no name of a token"),
        ([], [{"name": "shop", "secret": "swordfish"}], "The secret of the token shop is no UUID"),
        ([{"name": "shop", "rule": "x"}], [], "policies.rule"),
        ([{}], [], "missing required arguments: name"),
        ([], [{"name": "shop", "service_identities": "shop"}], "service_identities"),
    ],
)
def test_each_mistake_is_a_sentence_without_secrets(policies: list[Json], tokens: list[Json], words: str) -> None:
    found = " ".join(acl_problems(policies, [], tokens))
    assert words in found and "swordfish" not in found
