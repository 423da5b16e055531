# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection says of itself in several files is the same in all of them."""

from __future__ import annotations

import pathlib
import re
import subprocess
import typing as t

import pytest
import yaml
from ansible_collections.discovery.consul.plugins.module_utils._consul import versions

PROJECT = pathlib.Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((PROJECT / "galaxy.yml").read_text())
WORKFLOW = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text())
REQUIRES = yaml.safe_load((PROJECT / "meta" / "runtime.yml").read_text())["requires_ansible"]
CORES = re.findall(r"^(2\.\d+)\.\d+ +\d", (PROJECT / "tests" / "ansible" / "run").read_text(), re.M)


def test_every_address_is_below_the_repositorys() -> None:
    assert all(GALAXY[key].startswith(GALAXY["repository"]) for key in ("documentation", "homepage", "issues"))


def test_nothing_is_published_while_nobody_knows_where_the_repository_is() -> None:
    if "example.invalid" not in GALAXY["repository"]:
        pytest.skip("it is known")
    # What is built first is left out, so that nothing but the refusal can be the reason.
    done = subprocess.run(["make", "publish", "--assume-old=build"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "does not say where the repository is" in done.stderr


@pytest.mark.parametrize("role", sorted(path.parents[1].name for path in (PROJECT / "roles").glob("*/meta/main.yml")))
def test_roles_and_collection_ask_for_the_same_ansible(role: str) -> None:
    least = yaml.safe_load((PROJECT / "roles" / role / "meta" / "main.yml").read_text())["galaxy_info"]["min_ansible_version"]
    assert f">={least}.0" == REQUIRES
    assert least == CORES[0]


def test_an_execution_environment_has_what_the_role_brings_to_hosts() -> None:
    meta = yaml.safe_load((PROJECT / "meta" / "execution-environment.yml").read_text())["dependencies"]
    have = set((PROJECT / meta["python"]).read_text().splitlines())
    assert set(yaml.safe_load((PROJECT / "roles/python_environment/defaults/main.yml").read_text())["python_environment_requirements"]) <= have
    assert (PROJECT / meta["system"]).is_file()


def tags_of(node: t.Any) -> set[str]:
    """All tags in a file of plays or tasks."""
    if isinstance(node, list):
        return {tag for one in node for tag in tags_of(one)}
    if not isinstance(node, dict):
        return set()
    own = node.get("tags") or []
    return {*([own] if isinstance(own, str) else own), *(tag for key, one in node.items() if key not in ("tags", "vars") for tag in tags_of(one))}


def test_each_tag_is_on_its_page_and_no_other() -> None:
    files = [PROJECT / "playbooks" / "site.yml", *PROJECT.glob("roles/*/tasks/*.yml")]
    used = {tag for path in files for tag in tags_of(yaml.safe_load(path.read_text())) if re.fullmatch("[a-z_]+", tag)} - {"always"}
    rows = [row.split("|")[1] for row in (PROJECT / "docs" / "tags.md").read_text().splitlines() if row.startswith("| `")]
    told = {tag for row in rows for tag in re.findall("`([a-z_]+)`", row)}
    assert told == used


def test_the_public_matrix_has_the_stops_that_are_maintained_and_what_debian_has() -> None:
    images = WORKFLOW["jobs"]["scenarios"]["strategy"]["matrix"]["consul"]
    assert images[0] == "localhost/discovery/consul:1.8.7-debian11"
    releases = [versions.parse(image.rpartition(":")[2]) for image in images]
    assert releases == sorted(releases) and releases[-1] == versions.NEWEST_KNOWN
    assert set(releases[2:]) <= set(versions.STOPS) and not set(releases) & set(versions.BROKEN)
