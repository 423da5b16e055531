# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of services, and the nodes that they run on, read without a library for Consul."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.inventory.consul_nodes import HOST, legacy_groups
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, LeaderlessError
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import ConsulError
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import Reader, token_of
from ansible_collections.discovery.consul.plugins.module_utils._consul.services import find, status, url
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError
from ansible_collections.discovery.consul.plugins.plugin_utils.catalog import Question, compare, nodes
from fake_agent import Agent

WEB, STATE = "/v1/health/service/web", "/v1/health/state/any"


def row(id: str, node: str = "n1", status: str = "passing", **service: t.Any) -> dict[str, t.Any]:
    found = {"ID": id, "Service": "web", "Address": "", "Port": 80, "Tags": None, **service}
    return {"Node": {"Node": node, "Address": "10.0.0.1", "Datacenter": "dc1"}, "Service": found, "Checks": [{"CheckID": "c", "Status": status}]}


def catalog(count: int, members: int | None = None, left: int = 0) -> dict[str, tuple[int, t.Any]]:
    names = [f"n{number}" for number in range(count)]
    return {
        "/v1/agent/self": (200, {"Stats": {"serf_lan": {"members": str(members or count), "left": str(left)}}}),
        "/v1/catalog/nodes": (200, [{"Node": name, "Address": "10.0.0.1", "Datacenter": "dc1", "Meta": None} for name in names]),
        "/v1/catalog/services": (200, {"web": [], "consul": []}),
        STATE: (200, [{"Node": name, "CheckID": "serfHealth", "ServiceID": "", "Status": "passing"} for name in names]),
        WEB: (200, [row("w", name) for name in names]),
        "/v1/health/service/consul": (200, []),
    }


def test_instances_are_in_one_order_and_have_all_tags() -> None:
    rows = [row("b", "n2", Tags=["v1", "v2"]), row("c", "n1", "critical", Tags=["v2", "v1"]), row("a", "n2", Tags=["v2"]), row("d", "n1", Tags=["v1", "v2"])]
    with Agent({WEB: (200, rows)}) as agent:
        found = find(Reader(agent.url, "secret"), "web", ["v1", "v2"], ["dc1", "dc 2"])
        assert [(one["node"], one["id"]) for one in found.passing] == [("n1", "d"), ("n2", "b")] * 2
        assert len(found.registered) == 6 and found.registered[0]["address"] == "10.0.0.1"
        assert agent.log == [("GET", WEB, "dc=dc1", "secret"), ("GET", WEB, "dc=dc%202", "secret")]


def test_a_name_is_one_part_of_the_path() -> None:
    with Agent({"/v1/health/service/..%2Fa%3Fb": (200, [])}) as agent:
        assert find(Reader(agent.url), "../a?b").registered == []


def test_the_worst_check_counts() -> None:
    def check(state: str, name: str = "c") -> dict[str, str]:
        return {"CheckID": name, "Status": state}

    assert status([]) == "passing"
    assert status([check("passing"), check("warning")]) == "warning"
    assert status([check("warning"), check("critical")]) == "critical"
    assert status([check("critical"), check("critical", "_service_maintenance:web-1")]) == "maintenance"


def test_where_an_instance_is_called() -> None:
    assert url({"address": "fd00::1", "port": 80}, "http") == "http://[fd00::1]:80"
    assert url({"address": "web.example", "port": 0}, "https") == "https://web.example"


@pytest.mark.parametrize("body", ["no JSON", {"a": 1}, [1], [{"Node": {}}], [{"Service": {"ID": 1}, "Node": {"Node": "n"}}]])
def test_what_is_no_answer_of_consuls_is_said(body: t.Any) -> None:
    with Agent({WEB: (200, body)}) as agent, pytest.raises((ApiError, ConsulError), match="answer"):
        find(Reader(agent.url), "web")


def test_a_filtered_answer_a_refusal_and_no_leader_are_errors() -> None:
    with Agent({WEB: (200, [])}, headers={"X-Consul-Results-Filtered-By-ACLs": "true"}) as agent, pytest.raises(ApiError, match="is filtered by ACLs"):
        find(Reader(agent.url), "web")
    with Agent({WEB: (403, "Permission denied")}) as agent, pytest.raises(ApiError, match="Give a token with service:read"):
        find(Reader(agent.url), "web")
    with Agent({WEB: (500, "No cluster leader")}) as agent, pytest.raises(LeaderlessError):
        find(Reader(agent.url), "web")


def test_a_redirection_is_not_followed_with_the_token() -> None:
    with Agent() as other, Agent({WEB: (301, "moved")}, headers={"Location": other.url + WEB}) as agent:
        with pytest.raises(ApiError, match="301"):
            find(Reader(agent.url, "secret"), "web")
        assert other.log == []


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Agent({WEB: (200, [])}) as agent:
        assert find(Reader(agent.url.replace("http://", "")), "web").registered == []


def test_tokens_are_one_word_and_in_no_message(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "token"
    file.write_text(" secret\n")
    assert token_of("other", str(file)) == "secret" and token_of(None, None) == ""
    for wrong in (b"", b"se cret", b"se\ncret", b"\xff"):
        file.write_bytes(wrong)
        with pytest.raises(OperatorError, match=str(file)) as caught:
            token_of(None, str(file))
        assert "cret" not in str(caught.value)
    with pytest.raises(OperatorError, match="user or a password"):
        Reader("http://user:secret@127.0.0.1:8500")


def test_a_token_that_is_given_wins_over_the_environment(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "given").write_text("from-file")
    (tmp_path / "environment").write_text("from-environment")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN_FILE", str(tmp_path / "environment"))
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "word")
    cases = [("a", None, "a"), (None, str(tmp_path / "given"), "from-file"), ("a", str(tmp_path / "given"), "from-file"), (None, None, "from-environment")]
    with Agent({WEB: (200, [])}) as agent:
        for token, file, _used in cases:
            find(Reader.of({"url": agent.url, "token": token, "token_file": file, "ca_path": "", "timeout": 5}), "web")
        monkeypatch.setenv("CONSUL_HTTP_TOKEN_FILE", "")
        find(Reader.of({"url": agent.url, "token": None, "token_file": None, "ca_path": None, "timeout": 5}), "web")
        assert [token for _verb, _path, _query, token in agent.log] == [*(used for _token, _file, used in cases), "word"]


@pytest.mark.parametrize("services", [(), ("web",), ("*",)])
def test_questions_do_not_grow_with_nodes(services: tuple[str, ...]) -> None:
    asked = []
    for count in (1, 50):
        with Agent(catalog(count)) as agent:
            found = nodes(Reader(agent.url), Question(services=services, passing_only=True, datacenters=["dc1"])).found
            asked.append(agent.asked("GET"))
        assert len(found) == count
    assert asked[0] == asked[1]
    assert len(asked[0]) == 4 + {(): 0, ("web",): 1, ("*",): 3}[services]


def test_members_that_are_not_shown_are_an_error_and_those_that_left_are_none() -> None:
    with Agent(catalog(3, members=5, left=2)) as agent:
        compare(Reader(agent.url), patience=0)
    with Agent(catalog(3, members=5, left=1)) as agent, pytest.raises(ApiError, match="shows 3 of the 4 members"):
        compare(Reader(agent.url), patience=0)
    with Agent({**catalog(3), "/v1/agent/self": (200, {"Config": {}})}) as agent, pytest.raises(ApiError, match="documents"):
        compare(Reader(agent.url), patience=0)


def test_a_member_that_is_joining_is_waited_for() -> None:
    late = catalog(2)
    with Agent({**late, STATE: (200, late[STATE][1][:1])}) as agent:
        reader = Reader(agent.url)
        ask = reader.get

        def get(path: str, **params: str) -> t.Any:
            answer = ask(path, **params)
            if path == STATE:
                agent.answers[STATE] = late[STATE]
            return answer

        reader.get = get  # type: ignore[method-assign]
        compare(reader, patience=5)
        assert agent.asked("GET").count(STATE) == 2


def test_metadata_is_quoted_in_consuls_language() -> None:
    with Agent(catalog(1)) as agent:
        reader = Reader(agent.url)
        nodes(reader, Question(filter="A or B", node_meta={"a": 'x" or "y'}, compare_members=False))
        assert agent.log[-1][2] == "filter=%28A%20or%20B%29%20and%20Meta%5B%22a%22%5D%20%3D%3D%20%60x%22%20or%20%22y%60"
        with pytest.raises(ApiError, match="cannot hold it"):
            nodes(reader, Question(node_meta={"a": '`"'}, compare_members=False))


def test_what_can_be_a_host() -> None:
    assert all(HOST.fullmatch(name) for name in ("web-1.example", "10.0.0.1", "fd00::1", "_a"))
    assert not any(HOST.fullmatch(name) for name in ("", "-oProxyCommand=x", "a b", "a\n", "../x", "{{ x }}", "a,b", "!a"))


def test_groups_have_the_names_that_the_old_script_gave_them() -> None:
    node = {"datacenter": "dc 1", "services": {"web-a": [{"tags": ["v/1"], "status": "passing"}, {"tags": [], "status": "warning"}]}}
    assert legacy_groups(node) == ["dc_1", "web-a", "web-a_available", "web-a_unavailable", "web-a_v_1"]
