# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Registrator's command line from typed options, and what contradicts itself."""

from __future__ import annotations

import os
import pathlib
import re
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
        ({"allowed_names": ["app-*", "web"]}, "-allowed-names=app-*,web"),
        ({"script_checks": True}, "-script-checks"),
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
        ({"extra_flags": ["-tags={{.ID}}"]}, "Give it as the option tags"),
        ({"extra_flags": ["--useIpFromLabel", "ip"]}, "Give it as the option use_ip_from_label"),
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


OWN: dict[str, t.Any] = {"Name": "registrator:1", "Config": {"Labels": {_registrator.OWN_LABEL: "own"}}}


def specified(image: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    one = _registrator.Registrator(Engine("unix:///nowhere"), {**DEFAULTS, **options})
    return t.cast("dict[str, t.Any]", one._wanted(image))


def test_the_own_image_gets_an_owner_that_another_host_of_the_name_has_not(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = []
    for number in range(2):
        (tmp_path / str(number)).write_text(f"{number}\n")
        monkeypatch.setattr(_registrator, "MACHINE_ID", str(tmp_path / str(number)))
        owners += [word for word in specified(OWN, hostname="h1")["Config"]["Cmd"] if word.startswith("-owner=")]
    assert len(set(owners)) == 2 and all(re.fullmatch("-owner=h1-[0-9a-f]{12}", owner) for owner in owners)
    assert "-owner=mine" in specified(OWN, owner="mine")["Config"]["Cmd"]
    assert not any("-owner" in word for word in specified({"Name": "gliderlabs/registrator"})["Config"]["Cmd"])
    monkeypatch.setattr(_registrator, "MACHINE_ID", str(tmp_path / "none"))
    assert _registrator.default_owner("h 1/2") == "h-1-2"


def test_a_hostname_leaves_it_in_the_hosts_network() -> None:
    wanted = specified(OWN, hostname="other")
    assert (wanted["Config"]["Hostname"], wanted["HostConfig"]["NetworkMode"]) == ("other", "host")
    assert "Hostname" not in specified(OWN)["Config"]


def test_nobody_elses_processes_are_the_tokens_owner() -> None:
    assert not DEFAULTS["user"].startswith("65534:"), "that is nobody, as whom others run too"


def test_a_token_of_another_owner_is_put_right(tmp_path: pathlib.Path) -> None:
    uid, gid = os.getuid(), os.getgid()
    one = _registrator.Registrator(Engine("unix:///nowhere"), {**DEFAULTS, "token": "t", "config_dir": str(tmp_path), "user": f"{uid}:{gid}"})
    one.folder.prepare()
    one.folder.put("token", "t")
    assert one._token_differences() == []
    (tmp_path / "token").chmod(0o644)
    assert [difference.name for difference in one._token_differences()] == ["token.mode"]


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({}, []),
        ({"use_ip_from_label": "ip"}, ["-label=ip"]),
        ({"tags": ["a"]}, []),
        ({"tags": ["{{.ID}}"]}, ["-whole"]),
        ({"tags": ["{{.ID}}"], "engine_documents": "filtered"}, []),
        ({"engine_documents": "whole"}, ["-whole"]),
    ],
)
def test_the_proxy_knows_what_is_read_beyond_the_usual(options: dict[str, t.Any], flags: list[str]) -> None:
    assert _registrator.Registrator(Engine("unix:///nowhere"), {**DEFAULTS, **options}).proxy._flags() == flags


@pytest.mark.parametrize(
    ("started", "ready"),
    [
        ("2026-11-24T10:00:00.5Z", True),
        ("2026-11-24T10:00:00.500000001Z", False),
        ("2026-11-24T10:00:01Z", False),
        ("2026-11-24T09:59:59.999999999Z", True),
    ],
)
def test_what_an_earlier_run_printed_makes_no_container_ready(started: str, ready: bool) -> None:
    log = b"2026-11-24T10:00:00.500000000Z 2026/11/24 10:00:00 Listening for Docker events ...\n"

    class Api:
        def logs(self, name: str, **options: t.Any) -> bytes:
            assert (name, options["timestamps"]) == ("registrator", True)
            return log

    class Logging(Engine):
        api = Api()

    one = _registrator.Registrator(Logging("unix:///nowhere"), DEFAULTS)
    assert (one._why_not_ready({"State": {"StartedAt": started}}) is None) is ready


def test_plans_of_two_containers_keep_what_each_of_them_needs() -> None:
    new, other = (Plan((Difference("one", None, None, needs),)) for needs in (CREATE, RECREATE))
    assert (Plans.of(new, other).actions, Plans.of(new, other).disruptive) == ([CREATE, RECREATE], True)
    assert (Plans.of(new, new, Plan()).actions, Plans.of(new).disruptive) == ([CREATE], False)


def test_a_token_that_others_can_read_is_seen(tmp_path: pathlib.Path) -> None:
    options = {**DEFAULTS, "token": "secret", "config_dir": str(tmp_path / "etc"), "user": f"{os.getuid()}:{os.getgid()}"}
    one = _registrator.Registrator(Engine("unix:///nowhere"), options)
    assert [difference.name for difference in one._token_differences()] == ["token"]
    one.folder.prepare()
    one.folder.put("token", "secret")
    assert one._token_differences() == []
    (tmp_path / "etc" / "token").chmod(0o644)
    assert [(difference.name, difference.needs) for difference in one._token_differences()] == [("token.mode", "write")]
