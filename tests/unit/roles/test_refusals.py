# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before anything exists: plays on hosts that are this machine, where no engine is asked for anything."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[3]
# tests/ansible/run names those of other releases of ansible-core.
PLAYBOOK = pathlib.Path(os.environ.get("TEST_ANSIBLE_PLAYBOOK") or PROJECT / ".venv" / "bin" / "ansible-playbook")
Run = t.Callable[..., "tuple[int, str]"]

SERVERS = """
- hosts: consul
  gather_facts: false
  roles:
    - role: discovery.consul.consul_server
"""
CLIENTS = SERVERS.replace("hosts: consul", "hosts: apps").replace("consul_server", "consul_client")
SHOWN = """
- hosts: consul
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: discovery.consul.consul_agent
        tasks_from: inventory.yml
        public: true
      vars:
        consul_agent_server: true
    - ansible.builtin.debug:
        msg: "expect {{ __consul_agent_bootstrap_expect }}, servers {{ __consul_agent_servers | join(',') }}"
      vars:
        consul_agent_server: true
"""


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Run:
    """Run a play; its exit status, and what it printed as one line. An engine that it asked for would be missing."""

    def act(play: str, groups: dict[str, list[str]], variables: dict[str, t.Any], *arguments: str, inventory: str = "") -> tuple[int, str]:
        (tmp_path / "play.yml").write_text(play)
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "consul_agent_docker_host": f"unix://{tmp_path}/none.sock"}
        hosts = {
            name: {"hosts": {host: {"consul_agent_advertise_addr": f"10.0.0.{number}"} for number, host in enumerate(members, 1)}}
            for name, members in groups.items()
        }
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": {**local, **variables}, "children": hosts}}))
        command = [str(PLAYBOOK), "-i", inventory or str(tmp_path / "hosts.json"), str(tmp_path / "play.yml"), *arguments]
        environment = {**{k: v for k, v in os.environ.items() if "COLOR" not in k}, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(PLAYBOOK.parents[1] / "collections")
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert not (tmp_path / ".secrets").exists()
        return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)

    return act


THREE = {"consul": ["a.example.org", "b.example.org", "c.example.org"]}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"consul_agent_security": "Full"}, "value of consul_agent_security must be one of: full, gossip, none, got: Full"),
        ({"consul_agent_raft_multiplier": "fast"}, "consul_agent_raft_multiplier"),
        (
            {"consul_agent_server_group": "a_group"},
            "is to be a server, and the group a_group of the inventory, which says who the servers are, does not hold it",
        ),
        ({"consul_agent_node_name": "same"}, "have the same node name: same"),
        ({"consul_agent_acl_tokens": [{"name": "operator"}]}, "The token operator cannot be declared, since the collection has one of that name itself"),
        ({"consul_agent_acl_policies": [{"name": "shop", "rule": ""}]}, "policies.rule. Supported parameters include"),
        (
            {"consul_agent_services": [{"name": "db", "port": "5432"}]},
            "What consul_agent_services declares for a.example.org cannot be. The service db has the port '5432', which it cannot have.",
        ),
        ({"consul_agent_prepared_queries": [{"name": "db"}]}, "The prepared query 'db' names no service."),
        ({"consul_agent_bootstrap": True}, "makes clusters of their own of a.example.org, b.example.org, c.example.org"),
    ],
    ids=[
        "a level that does not exist",
        "a number that is none",
        "a group without the host",
        "one name for all",
        "a token of the collection's",
        "an option that does not exist",
        "a service with a port that is none",
        "a query for nothing",
        "each its own cluster",
    ],
)
def test_servers_are_refused_in_one_sentence(run: Run, variables: dict[str, t.Any], words: str) -> None:
    groups = {**THREE, "a_group": ["other.example.org"]}
    code, said = run(SERVERS, groups, {"consul_agent_security": "none", **variables})
    assert (code, words in said, "Converge the node" in said) == (2, True, False), said


def test_a_server_alone_in_its_group_among_others_would_be_a_cluster_of_its_own(run: Run) -> None:
    groups = {**THREE, "consul_servers": ["a.example.org"]}
    code, said = run(SERVERS, groups, {"consul_agent_security": "none"})
    assert (code, "so it would be a cluster of its own, while 3 hosts are in the play" in said) == (2, True), said


@pytest.mark.parametrize("level", ["full", "none"])
def test_a_play_of_servers_whose_group_has_another_name_is_one_cluster(run: Run, level: str) -> None:
    code, said = run(SHOWN, THREE, {"consul_agent_security": level})
    assert code == 0, said
    assert re.findall(r"expect (\d), servers (\S+)", said) == [("3", "a.example.org,b.example.org,c.example.org")] * 3

    code, said = run(SHOWN, THREE, {"consul_agent_security": level}, "--limit", "a.example.org")
    assert (code, "Set consul_agent_server_group to the group that does" in said) == (2, True), said


def test_a_client_says_what_it_needs_of_servers_that_are_not_in_the_inventory(run: Run) -> None:
    code, said = run(CLIENTS, {"apps": ["app1"]}, {})
    assert code == 2
    for words in ("addresses to join (consul_agent_retry_join)", "the gossip key (", "the certificate authority (", "a token of its own ("):
        assert words in said
    assert "Converge the node" not in said


def test_without_a_file_of_inventory_it_is_said_what_to_set(run: Run) -> None:
    given = ["-e", "ansible_connection=local", "-e", f"ansible_python_interpreter={sys.executable}", "-e", "consul_agent_advertise_addr=10.0.0.1"]
    code, said = run(SERVERS.replace("hosts: consul", "hosts: all"), {}, {}, *given, inventory="a1,")
    assert (code, "Set consul_agent_secrets to a folder of this machine" in said) == (2, True), said


def test_the_demonstration_does_not_kill_the_agent_that_its_application_asks(run: Run) -> None:
    play = "- ansible.builtin.import_playbook: discovery.consul.demo\n"
    code, said = run(play, {"consul_servers": ["a1"], "docker_hosts": ["a1"]}, {"consul_agent_security": "none", "demo_faults": True})
    assert (code, "asks the agent of a1, which is a server and may be the leader. Add a host to the group consul_clients" in said) == (2, True), said
    assert "Make the images present" not in said
