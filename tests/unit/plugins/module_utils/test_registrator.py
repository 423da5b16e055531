# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registrator's command line from typed options, and what contradicts itself."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils import _registrator
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.fields import RECREATE
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import CREATE, Difference, Plan, Plans
from ansible_collections.discovery.consul.plugins.modules import registrator

DEFAULTS: dict[str, t.Any] = {name: argument.get("default") for name, argument in registrator.ARGUMENTS.items()}


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"ip": "10.0.0.1"}, "-ip=10.0.0.1"),
        ({"internal": True}, "-internal"),
        ({"explicit": True}, "-explicit"),
        ({"use_ip_from_label": "addr"}, "-useIpFromLabel=addr"),
        ({"tags": ["a", "b,c"]}, "-tags=a,b\\,c"),
        ({"ttl": 30, "ttl_refresh": 10}, "-ttl=30"),
        ({"resync": 60}, "-resync=60"),
        ({"deregister": "on-success"}, "-deregister=on-success"),
        ({"retry_attempts": 5}, "-retry-attempts=5"),
        ({"retry_interval": 100}, "-retry-interval=100"),
        ({"cleanup": True}, "-cleanup"),
        ({"address_from": "eth0"}, "-address-from=eth0"),
        ({"health_checks": True}, "-health-checks"),
        ({"health_ttl": 30}, "-health-ttl=30"),
        ({"listen": "127.0.0.1:9810"}, "-listen=127.0.0.1:9810"),
        ({"log_format": "json"}, "-log-format=json"),
        ({"name_from": "service"}, "-name-from=service"),
        ({"on_container_stop": "maintenance"}, "-on-container-stop=maintenance"),
        ({"on_exit": "deregister"}, "-on-exit=deregister"),
        ({"opt_in": True}, "-opt-in"),
        ({"extra_flags": ["-x"]}, "-x"),
    ],
)
def test_each_option_is_a_flag_before_the_registry(change: dict[str, t.Any], flag: str) -> None:
    line = _registrator.flags({**DEFAULTS, **change})
    assert flag in line
    assert flag not in _registrator.flags(DEFAULTS)
    assert line[-1] == "consul://127.0.0.1:8500"
    assert all(one.startswith("-") for one in line[:-1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ttl": 30}, "go together"),
        ({"ttl": 10, "ttl_refresh": 10}, "must be greater than ttl_refresh"),
        ({"retry_interval": 0}, "greater than 0"),
        ({"internal": True, "ip": "10.0.0.1"}, "no effect with internal"),
        ({"registry": "localhost"}, "is no URI"),
        ({"ip": "10.0.0.1", "address_from": "eth0"}, "both say which address"),
    ],
)
def test_contradictions_are_sentences(change: dict[str, t.Any], words: str) -> None:
    (problem,) = _registrator.problems({**DEFAULTS, **change})
    assert words in problem
    assert _registrator.problems(DEFAULTS) == []


def test_an_image_of_the_originals_kind_gets_only_flags_that_it_knows() -> None:
    assert _registrator.flags(DEFAULTS) == ["-deregister=always", "-retry-attempts=-1", "-retry-interval=2000", "consul://127.0.0.1:8500"]


def test_the_engines_socket_goes_to_the_proxy_or_to_registrator_never_to_both(tmp_path: pathlib.Path) -> None:
    (tmp_path / "docker.sock").touch()
    options = {**DEFAULTS, "docker_socket": str(tmp_path / "docker.sock")}
    image = {"Name": "registrator:1"}

    def mounted(access: str) -> list[tuple[set[str], list[str]]]:
        one = _registrator.Registrator(Engine("unix:///nowhere"), {**options, "engine_access": access})
        containers = [one._container(image), one.proxy._container(image)]
        return [({source for source, _target, _read_only in spec.mounts}, spec.groups) for spec in containers]

    group = [str((tmp_path / "docker.sock").stat().st_gid)]
    registrators, proxys = mounted("proxy")
    assert registrators == ({"registrator-engine"}, [])
    assert proxys == ({"registrator-engine", options["docker_socket"]}, group)
    assert mounted("socket")[0] == ({options["docker_socket"]}, group)


def test_plans_of_two_containers_keep_what_each_of_them_needs() -> None:
    new, other = (Plan((Difference("one", None, None, needs),)) for needs in (CREATE, RECREATE))
    assert (Plans.of(new, other).actions, Plans.of(new, other).disruptive) == ([CREATE, RECREATE], True)
    assert (Plans.of(new, new, Plan()).actions, Plans.of(new).disruptive) == ([CREATE], False)
