# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the user's own: which ones, in which order, and what a change of one needs."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import extra_files, folder
from ansible_collections.discovery.consul.plugins.module_utils._consul.config import ConfigError

HCL = """
# dns_config = {}
service {
  name = "web" // a { in a comment
  checks = [{ args = ["/bin/sh", "-c", "echo }"] }]
}
/* server = true
*/
node_meta = { rack = "server = true" }
"""


def test_files_and_those_of_folders_come_in_order_after_ours(tmp_path: pathlib.Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.hcl", "b/1.json", "b/notes.txt", "z.json", "a.json"):
        (tmp_path / name).write_text(name)
    found = extra_files.read([str(tmp_path / name) for name in ("z.json", "b", "a.json")])
    assert found == {"extra-000-z.json": "z.json", "extra-001-1.json": "b/1.json", "extra-002-2.hcl": "b/2.hcl", "extra-003-a.json": "a.json"}
    assert list(found) == sorted(found) and min(found) > folder.FILE


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.json", r"cannot be read \(No such file"),
        ("binary.json", "cannot be read"),
        ("more.conf", r"files that end in \.json or \.hcl only"),
    ],
)
def test_what_consul_would_not_read_is_a_sentence(tmp_path: pathlib.Path, name: str, words: str) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    (tmp_path / "more.conf").write_text("")
    with pytest.raises(ConfigError, match=words):
        extra_files.read([str(tmp_path / name)])


@pytest.mark.parametrize(
    ("held", "wanted", "needs"),
    [
        (None, '{"service": {"name": "web"}}', "reload"),
        ('{"services": [], "node_meta": {"a": "1"}}', None, "reload"),
        (None, '{"dns_config": {"node_ttl": "1s"}}', "restart"),
        ('{"dns_config": {"node_ttl": "1s"}}', None, "restart"),
        ('{"dns_config": {"node_ttl": "1s"}, "checks": []}', '{"dns_config": {"node_ttl": "1s"}, "checks": [1]}', "reload"),
        ('{"dns_config": {"node_ttl": "1s"}}', '{"dns_config": {"node_ttl": "2s"}}', "restart"),
        (HCL, HCL.replace("web", "app"), "reload"),
        (None, HCL + "dns_config { node_ttl = 1 }", "restart"),
        (HCL + 'server = "x"', HCL, "restart"),
        ("service { notes = <<EOT\nserver = true\nEOT\n}", "service { }", "reload"),
        ("{broken", "server = true", "restart"),
    ],
)
def test_what_a_change_needs(held: str | None, wanted: str | None, needs: str) -> None:
    assert extra_files.needs(held, wanted) == needs
