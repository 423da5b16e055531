# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators do with the installed collection from an inventory of their own: back up, restore, change the key, upgrade."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import threading
import typing as t

from conftest import CLIENT, NODES, SECRETS, SERVERS, Cluster, Node, secret

Play = t.Callable[..., str]


def started() -> list[str]:
    return [one.run(f"docker inspect --format '{{{{.State.StartedAt}}}}' {one.name}") for one in NODES]


def test_what_was_backed_up_is_put_back(play: Play, tmp_path: pathlib.Path) -> None:
    CLIENT.writes("molecule/backup", "before")
    play("discovery.consul.backup", "-e", f"backup_dir={tmp_path}")
    (snapshot,) = tmp_path.glob("dc1/*.snap")
    assert snapshot.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", json.loads(pathlib.Path(f"{snapshot}.json").read_text())["release"])
    CLIENT.writes("molecule/backup", "after")
    play("discovery.consul.restore", "-e", f"restore_file={snapshot}")
    assert SERVERS[-1].read("molecule/backup") == "before"
    assert not [node.name for node in NODES if "snap" in node.run("ls /tmp")]


def test_the_gossip_key_is_changed_without_a_restart_and_without_a_secret_on_a_command_line(play: Play) -> None:
    before, old = started(), (SECRETS / "gossip.key").read_text()
    assert not re.search(r"failed=[1-9]", play("discovery.consul.rotate_gossip_key", "--check"))
    assert (SECRETS / "gossip.key").read_text() == old
    with Commands(NODES) as commands:
        play("discovery.consul.rotate_gossip_key")
    new = (SECRETS / "gossip.key").read_text()
    assert new != old
    keyrings = {json.dumps(ring["Keys"]) for ring in SERVERS[0].api("/v1/operator/keyring") if not ring["WAN"]}
    assert keyrings == {json.dumps({new.strip(): len(NODES)})}
    assert started() == before
    secrets = [secret(token.name) for token in (SECRETS / "tokens").iterdir()] + [new.strip()]
    assert len(commands.seen) > 50
    assert not [line for line in commands.seen if any(one in line for one in secrets)]


def test_an_upgrade_takes_the_servers_one_by_one_and_then_the_clients(play: Play, cluster: Cluster) -> None:
    image = SERVERS[0].run(f"docker inspect --format '{{{{.Config.Image}}}}' {SERVERS[0].name}").strip()
    for node in NODES:
        node.run(f"printf 'FROM {image}\\nLABEL molecule=newer\\n' | docker build --quiet --tag localhost/molecule/consul:newer -")
    newer = ["-e", "consul_agent_image=localhost/molecule/consul:newer", "-e", '{"container_image_list": []}']
    try:
        with Commands(NODES) as commands:
            play("discovery.consul.upgrade", *newer)
        assert {node.run(f"docker inspect --format '{{{{.Config.Image}}}}' {node.name}").strip() for node in NODES} == {"localhost/molecule/consul:newer"}
        times = dict(zip([node.name for node in NODES], started()))
        assert max(times, key=times.__getitem__) == CLIENT.name
        assert not [line for line in commands.seen if secret("management") in line]
    finally:
        play("discovery.consul.site")
    cluster.is_healthy_again()


class Commands:
    """Every command line and environment of processes on hosts, while it is entered; read on this machine, where the hosts are containers."""

    def __init__(self, nodes: list[Node]) -> None:
        self.seen: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=[nodes])

    def __enter__(self) -> Commands:
        self._thread.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self, nodes: list[Node]) -> None:
        while not self._ended.wait(0.2):
            for node in nodes:
                top = subprocess.run(["docker", "top", node.machine, "-eo", "pid,args"], capture_output=True, text=True, check=False)
                self.seen.update(top.stdout.splitlines())
