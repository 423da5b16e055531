# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators do to a cluster that runs, where hosts are lost, and where servers come and go. See scenario many_hosts for the rest."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

from conftest import ADDRESS, NODES, SERVERS, Machine, secret

Play = t.Callable[..., str]


def started(machine: Machine) -> list[str]:
    return machine.run("docker inspect --format '{{.Name}} {{.State.StartedAt}}' node1 node2 node3 node4").splitlines()


def test_one_server_that_is_left_has_all_data(machine: Machine, play: Play, tmp_path: pathlib.Path) -> None:
    machine.consul("node1", "kv put molecule/backup everywhere")
    machine.run("docker kill node1 node2")
    try:
        assert "No cluster leader" in play("playbooks/backup.yml", "-e", f"backup_dir={tmp_path}", "--limit", "node3", code=2)
        play("playbooks/backup.yml", "-e", f"backup_dir={tmp_path}", "-e", "backup_stale=yes", "--limit", "node3")
    finally:
        machine.run("docker start node1 node2")
        play("site.yml", "--tags", "health")
    (snapshot,) = tmp_path.glob("dc1/*.snap")
    play("playbooks/restore.yml", "-e", f"restore_file={snapshot}")
    assert machine.consul("node2", "kv get molecule/backup") == "everywhere"


def test_another_server_takes_the_part_of_the_first_when_its_host_is_gone(play: Play, tmp_path: pathlib.Path) -> None:
    gone, others = tmp_path / "gone.json", NODES[1:]
    gone.write_text(json.dumps({"all": {"hosts": {SERVERS[0].name: {"ansible_port": 1}}}}))
    inventory = f"--inventory={gone}"
    unreachable = 4
    assert "The cluster is healthy." in play("playbooks/health.yml", inventory, code=unreachable)
    play("playbooks/backup.yml", inventory, "-e", f"backup_dir={tmp_path}", code=unreachable)
    assert list(tmp_path.glob("dc1/*.snap"))
    output = play("site.yml", inventory, "--limit", others[-1].name, "--tags", "consul")
    assert re.search(rf"Give rights\] \**\s+ok: \[{others[-1].name} -> {others[0].name}", output), output


def test_what_is_no_snapshot_is_refused(machine: Machine, play: Play, tmp_path: pathlib.Path) -> None:
    (tmp_path / "nonsense.snap").write_text("nonsense")
    machine.consul("node1", "kv put molecule/backup kept")
    play("playbooks/restore.yml", "-e", f"restore_file={tmp_path / 'nonsense.snap'}", code=2)
    assert "is no snapshot" in play("playbooks/restore.yml", code=2)
    assert machine.consul("node1", "kv get molecule/backup") == "kept"


def test_too_few_servers_would_remain(machine: Machine, play: Play) -> None:
    before = started(machine)
    output = play("playbooks/retire.yml", "-e", "retire_node=node3", code=2)
    assert "2 servers would remain; fewer than 3 bear no loss" in re.sub(r"\s+", " ", output)
    assert started(machine) == before


def test_a_fourth_and_a_fifth_server_come_and_go_and_no_other_node_stops(machine: Machine, play: Play, tmp_path: pathlib.Path) -> None:
    more = {
        f"node{number}": {"four_node_port_offset": 1000 * (number - 1), "consul_agent_advertise_addr": f"172.30.0.1{number}", "ansible_host": ADDRESS}
        for number in (5, 6)
    }
    names, before = set(more), started(machine)

    def inventory() -> str:
        (tmp_path / "more.json").write_text(json.dumps({"consul_servers": {"hosts": more}}))
        return f"--inventory={tmp_path / 'more.json'}"

    play("site.yml", inventory(), "--tags", "consul,health")
    assert {server["Node"] for server in machine.api("/v1/operator/raft/configuration")["Servers"]} == {node.name for node in SERVERS} | names
    assert machine.api("/v1/operator/autopilot/configuration")["MinQuorum"] == 5
    for name in sorted(names):
        play("playbooks/retire.yml", inventory(), "-e", f"retire_node={name}", "-e", "retire_data=yes")
        del more[name]
    play("site.yml", "--tags", "consul,health")
    assert {server["Node"] for server in machine.api("/v1/operator/raft/configuration")["Servers"]} == {node.name for node in SERVERS}
    assert machine.api("/v1/operator/autopilot/configuration")["MinQuorum"] == 3
    assert {member["Name"] for member in machine.api("/v1/agent/members")} == {node.name for node in NODES}
    assert not [token for token in machine.api("/v1/acl/tokens") if re.search("node[56]", token["Description"])]
    assert started(machine) == before


def test_a_cluster_that_another_play_is_changing_keeps_its_servers(machine: Machine, play: Play) -> None:
    """The lock of the cluster: a lock of the host is not enough where two plays work on two hosts."""
    before = started(machine)
    session = json.loads(machine.ask("/v1/session/create", token=secret("management"), method="PUT", data='{"NodeChecks": [], "Checks": [], "TTL": "60s"}')[1])[
        "ID"
    ]
    key = "/v1/kv/discovery.consul/lock/rollout"
    holder = json.dumps({"holder": {"user": "alice", "controller": "laptop", "pid": 4711, "started": "1", "kernel": "k"}, "since": 1700000000})
    assert machine.ask(f"{key}?acquire={session}", token=secret("management"), method="PUT", data=holder) == (200, "true")
    try:
        output = play("site.yml", "--tags", "consul_servers", "-e", "consul_agent_raft_multiplier=2", code=2)
    finally:
        machine.ask(f"/v1/session/destroy/{session}", token=secret("management"), method="PUT")
        machine.ask(key, token=secret("management"), method="DELETE")
    assert "Another play changes this cluster: alice@laptop:4711" in re.sub(r"\s+", " ", output)
    assert started(machine) == before


def test_a_play_whose_hosts_do_not_wait_for_each_other_stops_no_server(machine: Machine, play: Play, tmp_path: pathlib.Path) -> None:
    before = started(machine)
    (tmp_path / "free.yml").write_text("- hosts: consul_servers\n  gather_facts: false\n  strategy: free\n  roles: [discovery.consul.consul_server]\n")
    output = play(str(tmp_path / "free.yml"), "-e", "consul_agent_raft_multiplier=2", code=2)
    assert "Use the strategy linear" in re.sub(r"\s+", " ", output)
    assert started(machine) == before


def test_a_running_cluster_is_not_opened(machine: Machine, play: Play) -> None:
    before = started(machine)
    output = play("site.yml", "--tags", "consul_servers", "-e", "consul_agent_security=none", code=2)
    assert "It has a gossip key, and goes on to encrypt" in re.sub(r"\s+", " ", output)
    assert started(machine) == before


def test_another_folder_of_secrets_changes_no_node_and_keeps_nothing(machine: Machine, play: Play, tmp_path: pathlib.Path) -> None:
    before = started(machine)
    output = play("site.yml", "--tags", "consul_servers", "-e", f"consul_agent_secrets={tmp_path / 'new'}", code=2)
    assert "It has another gossip key" in re.sub(r"\s+", " ", output)
    assert started(machine) == before
    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []
