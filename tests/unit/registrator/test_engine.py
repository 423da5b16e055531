# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from the engine, and how it is reached."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from registrator import engine
from registrator.engine import Engine, EngineError, Event


@pytest.mark.parametrize(
    "raw, wanted",
    [
        ({"Type": "container", "Action": "start", "Actor": {"ID": "a"}}, Event("a", "start")),
        ({"Type": "container", "Action": "health_status: healthy", "Actor": {"ID": "a"}}, Event("a", "health_status: healthy")),
        ({"Type": "container", "Action": "kill", "Actor": {"ID": "a", "Attributes": {"signal": "15"}}}, Event("a", "kill:15")),
        ({"status": "die", "id": "a"}, Event("a", "die")),
        ({"Type": "network", "Action": "connect", "Actor": {"ID": "n", "Attributes": {"container": "a"}}}, Event("a", "connect")),
        ({"Type": "network", "Action": "create", "Actor": {"ID": "n"}}, None),
        ({"Type": "image", "Action": "pull", "Actor": {"ID": "i"}}, None),
    ],
)
def test_an_event_says_which_container_and_what(raw: t.Dict[str, t.Any], wanted: t.Optional[Event]) -> None:
    assert list(engine._events_of([raw])) == ([wanted] if wanted else [])


def test_whatever_breaks_the_stream_is_an_engine_error() -> None:
    def stream() -> t.Iterator[t.Dict[str, t.Any]]:
        yield {"Type": "container", "Action": "start", "Actor": {"ID": "a"}}
        raise AttributeError("closed under us")

    events = engine._events_of(stream())
    assert next(events) == Event("a", "start")
    with pytest.raises(EngineError, match="closed under us"):
        next(events)


LISTED: t.Dict[str, t.Any] = {
    "Names": ["/web"],
    "State": "running",
    "Status": "Up 3 minutes (healthy)",
    "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}


@pytest.mark.parametrize(
    "change, is_seen",
    [
        ({"Status": "Up 4 minutes (healthy)"}, False),
        ({"Status": "Up 3 minutes (unhealthy)"}, True),
        ({"State": "paused"}, True),
        ({"Names": ["/other"]}, True),
        ({"Ports": []}, True),
        ({"NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.3"}}}}, True),
    ],
)
def test_a_list_shows_what_matters_and_no_passing_time(change: t.Dict[str, t.Any], is_seen: bool) -> None:
    assert (engine._outline({**LISTED, **change}) != engine._outline(LISTED)) is is_seen


def test_the_socket_is_where_the_original_has_it() -> None:
    assert Engine({}).url == "unix:///tmp/docker.sock"
    assert Engine({"DOCKER_HOST": "tcp://10.0.0.1:2375"}).url == "tcp://10.0.0.1:2375"


@pytest.mark.parametrize("has_authority", [True, False])
def test_tls_verifies_where_there_is_an_authority(tmp_path: pathlib.Path, has_authority: bool) -> None:
    for name in ("cert.pem", "key.pem", *["ca.pem"] * has_authority):
        (tmp_path / name).touch()
    settings = engine._tls({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)})
    assert settings
    assert settings.verify is has_authority
    assert settings.cert == (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))


def test_no_engine_is_an_engine_error(tmp_path: pathlib.Path) -> None:
    away = Engine({"DOCKER_HOST": f"unix://{tmp_path}/none"})
    for call in (away.containers, lambda: away.inspect("a"), away.events):
        with pytest.raises(EngineError):
            call()
