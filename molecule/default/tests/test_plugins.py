# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What plays read of a cluster at level full, with a token that consul_acl has made: inventory and lookup, from this machine."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

import pytest
from conftest import NODES, PROJECT, SERVERS, secret


@pytest.fixture(scope="module")
def run(tunnel: t.Callable[[int], int]) -> t.Callable[..., t.Any]:
    """What a program of Ansible prints as JSON, with the variables that people have for Consul."""
    environment = {
        **{name: value for name, value in os.environ.items() if "COLOR" not in name},
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "CONSUL_HTTP_ADDR": f"http://127.0.0.1:{tunnel(8500 + NODES[-1].offset)}",
        "CONSUL_HTTP_TOKEN": secret("operator"),
    }

    def one(*command: str) -> t.Any:
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout[done.stdout.index("{") :])

    return one


def test_the_inventory_has_the_nodes_with_their_services(run: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> None:
    file = tmp_path / "nodes.consul.yml"
    file.write_text("plugin: discovery.consul.consul_nodes\n")
    hosts = run("ansible-inventory", "--inventory", str(file), "--list")["_meta"]["hostvars"]
    # What comes from Consul is never a template.
    assert {name: one["ansible_host"] for name, one in hosts.items()} == {node.name: {"__ansible_unsafe": node.address} for node in NODES}
    file.write_text("plugin: discovery.consul.consul_nodes\nservices: [consul]\nadd_legacy_groups: true\n")
    found = run("ansible-inventory", "--inventory", str(file), "--list")
    assert sorted(found["consul"]["hosts"]) == [node.name for node in SERVERS]


def test_the_lookup_has_the_instances_that_pass(run: t.Callable[..., t.Any]) -> None:
    asked = "msg={{ lookup('discovery.consul.consul_service', 'consul', want='list') | map(attribute='address') | sort }}"
    found = run("ansible", "localhost", "--inventory", "localhost,", "--module-name", "ansible.builtin.debug", "--args", asked)
    assert found["msg"] == [node.address for node in SERVERS]
