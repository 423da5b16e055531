# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One role in somebody's play: a client whose servers are in another inventory, and what is refused before anything exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import typing as t

import pytest
from conftest import ADDED, CACHE, FIFTH, PROJECT, SECRETS, SERVERS, Cluster, environment, secret, until

Play = t.Callable[..., str]

ELSEWHERE = f"--inventory={CACHE / 'elsewhere'}"
EXAMPLES = PROJECT / "molecule" / "many_hosts" / "examples"


def alone(playbook: str, *arguments: str, code: int = 0) -> str:
    """Run a playbook on the inventory that does not know the servers."""
    command = ["ansible-playbook", ELSEWHERE, *arguments, str(EXAMPLES / f"{playbook}.yml")]
    done = subprocess.run(command, cwd=CACHE, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout[-6000:] + done.stderr[-2000:]
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.fixture
def given() -> t.Iterator[str]:
    """What the servers' operator hands over, as a file of variables."""
    path = CACHE / "handed_over.json"
    variables = {
        "servers": [node.address for node in SERVERS],
        "gossip_key": (SECRETS / "gossip.key").read_text().strip(),
        "authority": (SECRETS / "ca.pem").read_text(),
        "management_token": secret("management"),
    }
    path.write_text(json.dumps(variables))
    path.chmod(0o600)
    yield f"@{path}"
    path.unlink()


def test_a_client_joins_servers_of_another_inventory_with_a_token_of_its_own(cluster: Cluster, play: Play, given: str) -> None:
    assert ADDED is not None
    play("discovery.consul.site", FIFTH, "--limit", ADDED.host, "--tags", "python,engine,images")

    refused = alone(
        "consul_client", "-e", "consul_agent_bind_addr={{ ansible_host }}", "-e", "consul_agent_encrypt=", "--extra-vars", "hosts=app_servers", code=0
    )
    assert "no hosts matched" in refused

    bare = alone("client_elsewhere", "-e", given, "-e", "consul_agent_acl_url=", code=2)
    assert "joins servers that are not in the inventory" in bare
    assert "a token of its own (consul_agent_acl_agent_token" in bare
    assert "gossip key" not in bare
    assert ADDED.name not in ADDED.run("docker ps --all --format '{{.Names}}'").split()

    alone("client_elsewhere", "-e", given)
    until("the servers see it", lambda: {member["Name"]: member["Status"] for member in SERVERS[0].api("/v1/agent/members")}.get(ADDED.name) == 1)
    token = (CACHE / "elsewhere" / ".secrets" / "dc1" / "tokens" / f"agent-{ADDED.name}").read_text().strip()
    mine = [one for one in SERVERS[0].api("/v1/acl/tokens") if one["Description"].startswith(f"The agent {ADDED.name} ")]
    assert [one.get("NodeIdentities") for one in mine] == [[{"NodeName": ADDED.name, "Datacenter": "dc1"}]]
    assert token in ADDED.run(f"cat /etc/discovery.consul/{ADDED.name}/*.json")
    assert secret("management") not in ADDED.run(f"cat /etc/discovery.consul/{ADDED.name}/*")
    until("it is in the catalog with its address", lambda: ADDED.address in [one["Address"] for one in SERVERS[0].api("/v1/catalog/nodes")])
    assert "changed=0" in alone("client_elsewhere", "-e", given)


def test_it_is_retired_with_its_token_also_when_an_earlier_run_was_interrupted(cluster: Cluster, play: Play) -> None:
    assert ADDED is not None
    # As an interrupted run leaves it: without its container and its folder, and still a member.
    ADDED.run(f"docker rm --force {ADDED.name}; rm -rf /etc/discovery.consul/{ADDED.name}; docker volume rm {ADDED.name}-data")
    output = play("discovery.consul.retire", FIFTH, "-e", f"retire_node={ADDED.host}")
    assert f"{ADDED.name} has left" in output
    assert ADDED.name not in {member["Name"] for member in SERVERS[0].api("/v1/agent/members")}
    assert ADDED.name not in {node["Node"] for node in SERVERS[0].api("/v1/catalog/nodes")}
    assert not [one for one in SERVERS[0].api("/v1/acl/tokens") if one["Description"].startswith(f"The agent {ADDED.name} ")]
    assert "has left" in play("discovery.consul.retire", FIFTH, "-e", f"retire_node={ADDED.host}")
    cluster.is_healthy_again()


def test_hosts_that_keep_their_secrets_in_different_folders_are_refused(play: Play) -> None:
    assert ADDED is not None
    output = play(
        "discovery.consul.site",
        FIFTH,
        "-e",
        f'{{"{ADDED.host}": 1}}',
        "--limit",
        f"{SERVERS[0].host},{ADDED.host}",
        "--tags",
        "consul",
        "--check",
        "--inventory=" + other_folder(),
        code=2,
    )
    assert "keeps the secrets of the datacenter dc1 in" in re.sub(r"\s+", " ", output)


def other_folder() -> str:
    path = CACHE / "other.json"
    path.write_text(json.dumps({"all": {"hosts": {ADDED.host if ADDED else "": {"consul_agent_secrets": os.fspath(CACHE / "other")}}}}))
    return os.fspath(path)
