# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators do with the installed collection from an inventory of their own: back up, restore, change the key."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

from conftest import CLIENT, NODES, SECRETS, SERVERS, Commands, secret, started

Play = t.Callable[..., str]


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
    before, old = started(NODES), (SECRETS / "gossip.key").read_text()
    assert not re.search(r"failed=[1-9]", play("discovery.consul.rotate_gossip_key", "--check"))
    assert (SECRETS / "gossip.key").read_text() == old
    with Commands() as commands:
        play("discovery.consul.rotate_gossip_key")
    new = (SECRETS / "gossip.key").read_text()
    assert new != old
    keyrings = {json.dumps(ring["Keys"]) for ring in SERVERS[0].api("/v1/operator/keyring") if not ring["WAN"]}
    assert keyrings == {json.dumps({new.strip(): len(NODES)})}
    assert started(NODES) == before
    secrets = [secret(token.name) for token in (SECRETS / "tokens").iterdir()] + [new.strip()]
    assert any("/opt/discovery.consul/venv/bin/python" in line for line in commands.seen)
    assert not [line for line in commands.seen if any(one in line for one in secrets)]
