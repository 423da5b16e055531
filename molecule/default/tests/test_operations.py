# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators do to a cluster that runs: back it up, change its gossip key, take a node out and put another in."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

from conftest import NODES, SECRETS, SERVERS, Machine

Play = t.Callable[..., str]


def started(machine: Machine) -> list[str]:
    return machine.run("docker inspect --format '{{.Name}} {{.State.StartedAt}}' node1 node2 node3 node4").splitlines()


def test_what_was_backed_up_is_put_back(machine: Machine, play: Play, tmp_path: pathlib.Path) -> None:
    machine.consul("node1", "kv put molecule/backup before")
    play("playbooks/backup.yml", "-e", f"backup_dir={tmp_path}")
    (snapshot,) = tmp_path.glob("dc1/*.snap")
    assert snapshot.stat().st_mode & 0o777 == 0o600
    machine.consul("node1", "kv put molecule/backup after")
    play("playbooks/restore.yml", "-e", f"restore_file={snapshot}")
    assert machine.consul("node2", "kv get molecule/backup") == "before"
    assert ".snap" not in machine.run("ls /tmp /root/.ansible/tmp 2>/dev/null || true")


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
    assert re.search(rf"Make the token of the node\] \**\s+ok: \[{others[-1].name} -> {others[0].name}", output), output


def test_what_is_no_snapshot_is_refused(machine: Machine, play: Play, tmp_path: pathlib.Path) -> None:
    (tmp_path / "nonsense.snap").write_text("nonsense")
    machine.consul("node1", "kv put molecule/backup kept")
    play("playbooks/restore.yml", "-e", f"restore_file={tmp_path / 'nonsense.snap'}", code=2)
    assert "is no snapshot" in play("playbooks/restore.yml", code=2)
    assert machine.consul("node1", "kv get molecule/backup") == "kept"


def test_the_gossip_key_is_changed_without_a_restart(machine: Machine, play: Play) -> None:
    before, old = started(machine), (SECRETS / "gossip.key").read_text()
    play("playbooks/rotate_gossip_key.yml")
    new = (SECRETS / "gossip.key").read_text()
    assert new != old
    (keyring,) = {json.dumps(ring["Keys"]) for ring in machine.api("/v1/operator/keyring") if not ring["WAN"]}
    assert json.loads(keyring) == {new.strip(): len(NODES)}
    assert started(machine) == before
    assert not re.search(r"changed=[1-9]", play("site.yml", "--check"))


def test_too_few_servers_would_remain(machine: Machine, play: Play) -> None:
    before = started(machine)
    output = play("playbooks/retire.yml", "-e", "retire_node=node3", code=2)
    assert "2 servers would remain; fewer than 3 bear no loss" in re.sub(r"\s+", " ", output)
    assert started(machine) == before


def test_a_node_is_retired_and_another_takes_its_place(machine: Machine, play: Play) -> None:
    name = "node3"
    play("playbooks/retire.yml", "-e", f"retire_node={name}", "-e", "retire_min_servers=2", "-e", "retire_data=yes")
    assert name not in machine.run("docker ps --all --format '{{.Names}}'").split()
    assert name not in {member["Name"] for member in machine.api("/v1/agent/members")}
    assert name not in {node["Node"] for node in machine.api("/v1/catalog/nodes")}
    play("site.yml")
    servers = machine.api("/v1/operator/raft/configuration")["Servers"]
    assert {(server["Node"], server["Voter"]) for server in servers} == {(node.name, True) for node in SERVERS}


def test_a_client_that_is_down_keeps_no_server_from_its_turn(machine: Machine, play: Play) -> None:
    machine.run("docker stop node4")
    try:
        play("site.yml", "--tags", "consul_servers", "-e", "consul_agent_raft_multiplier=2")
    finally:
        machine.run("docker start node4")
        play("site.yml", "--tags", "consul")


def test_an_upgrade_takes_the_servers_one_by_one_and_then_the_clients(machine: Machine, play: Play) -> None:
    image = machine.run("docker inspect --format '{{.Config.Image}}' node1").strip()
    machine.run(f"printf 'FROM {image}\\nLABEL molecule=newer\\n' | docker build --quiet --tag localhost/molecule/consul:newer -")
    try:
        play("playbooks/upgrade.yml", "-e", "consul_agent_image=localhost/molecule/consul:newer", "-e", f"backup_dir={SECRETS.parent / 'backups'}")
        assert {machine.run(f"docker inspect --format '{{{{.Config.Image}}}}' {node.name}").strip() for node in NODES} == {"localhost/molecule/consul:newer"}
        order = [line.split()[0].strip("/") for line in sorted(started(machine), key=lambda line: line.split()[1])]
        assert order[-1] == "node4"
    finally:
        play("site.yml")
