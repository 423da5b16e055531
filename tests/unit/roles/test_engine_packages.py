# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which packages make an engine, by distribution and its release: the table of docker_engine, and who takes which row."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import jinja2
import pytest
import yaml

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "docker_engine"
TABLE = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
INSTALL = next(task["vars"] for task in yaml.safe_load((ROLE / "tasks" / "install.yml").read_text()) if task["name"] == "Install the engine")

WITH_CLIENT = ["docker.io", "apparmor", "ca-certificates", "iptables"]


def wanted(distribution: str, release: str, **variables: t.Any) -> list[str]:
    given = {
        "ansible_facts": {"distribution": distribution, "distribution_major_version": release},
        "docker_engine_packages": [],
        "docker_engine_source": "distribution",
        **TABLE,
        **variables,
    }
    for name in ("__docker_engine_release", "docker_engine_packages_wanted"):
        given[name] = jinja2.Template(INSTALL[name]).render(given).strip()
    return t.cast("list[str]", ast.literal_eval(given["docker_engine_packages_wanted"]))


@pytest.mark.parametrize(
    ("distribution", "release", "packages"),
    [
        ("Debian", "11", WITH_CLIENT),
        ("Debian", "12", WITH_CLIENT),
        ("Debian", "13", ["docker.io", "docker-cli", *WITH_CLIENT[1:]]),
        ("Ubuntu", "22", WITH_CLIENT),
        ("Ubuntu", "24", WITH_CLIENT),
    ],
)
def test_each_release_has_a_row(distribution: str, release: str, packages: list[str]) -> None:
    assert wanted(distribution, release) == packages


@pytest.mark.parametrize("distribution", ["Debian", "Ubuntu"])
def test_what_is_asked_for_goes_before_the_table(distribution: str) -> None:
    assert wanted(distribution, "12", docker_engine_source="docker") == TABLE["__docker_engine_own_packages"]
    assert wanted(distribution, "12", docker_engine_packages=["podman-docker"]) == ["podman-docker"]
