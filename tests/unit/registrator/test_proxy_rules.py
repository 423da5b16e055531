# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes the proxy of the engine's documents: all that Registrator reads, and nothing else."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from containers import container, published
from hypothesis import given
from hypothesis import strategies as some
from registrator import draining, engine, reconcile
from registrator.mapping import Here, services_of
from registrator.options import Options
from registrator.proxy_rules import ATTRIBUTES, document_rule

HERE = Here("host1", "192.168.7.7")
Path = t.Tuple[str, ...]


class Recording(t.Dict[str, t.Any]):
    """A document that notes which of its fields are read: a field's path, with * for names that may be anything."""

    def __init__(self, found: t.Mapping[str, t.Any], read: t.Set[Path], at: Path = ()) -> None:
        self.read, self.at = read, at
        super().__init__({key: self._recording(value, (*at, self._name(key))) for key, value in found.items()})

    def _recording(self, value: t.Any, at: Path) -> t.Any:
        if isinstance(value, dict):
            return Recording(value, self.read, at)
        if isinstance(value, list):
            return [self._recording(one, at) for one in value]
        return value

    def _name(self, key: str) -> str:
        return "*" if self.at[-1:] and self.at[-1] in ("Networks", "Ports", "ExposedPorts") else key

    def _note(self, key: str) -> None:
        self.read.add((*self.at, self._name(key)))

    def get(self, key: str, default: t.Any = None) -> t.Any:
        self._note(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> t.Any:
        self._note(key)
        return super().__getitem__(key)

    def __contains__(self, key: t.Any) -> bool:
        self._note(key)
        return super().__contains__(key)

    def __iter__(self) -> t.Iterator[str]:
        # Only where names may be anything does it say something that there is one.
        for key in super().__iter__():
            if self._name(key) == "*":
                self._note(key)
            yield key

    def items(self) -> t.Any:
        return [(key, self[key]) for key in self]


def paths(found: t.Any, at: Path = ()) -> t.Iterator[Path]:
    """Return the paths of all fields of a document, as ``Recording`` names them."""
    if isinstance(found, list):
        for one in found:
            yield from paths(one, at)
    elif isinstance(found, dict):
        for key, value in found.items():
            here = (*at, "*" if at[-1:] and at[-1] in ("Networks", "Ports", "ExposedPorts") else key)
            yield here
            yield from paths(value, here)


def rich(**changes: t.Any) -> t.Dict[str, t.Any]:
    """Return a container as an engine answers it, with much that is nobody's affair."""
    settings = {
        "env": ["SERVICE_NAME=web", "DATABASE_PASSWORD=secret", "PATH=/bin"],
        "labels": {
            "SERVICE_TAGS": "a",
            "registrator.network": "n",
            "registrator.enable": "true",
            "registrator.health": "true",
            "traefik.auth": "secret",
            "ip": "1.2.3.4",
        },
        "exposed": {"80/tcp": {}, "81/tcp": {}},
        "health": "healthy",
        "networks": {"n": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "2001:db8::2", "MacAddress": "secret"}},
        **changes,
    }
    found = container(**settings)
    found["Config"].update({"Cmd": ["--password=secret"], "Entrypoint": ["secret"], "StopTimeout": 5, "Healthcheck": {"Test": ["secret"]}})
    found["HostConfig"].update({"Binds": ["/secret:/x"], "LogConfig": {"Config": {"token": "secret"}}})
    found["State"].update({"Restarting": False, "Error": "secret", "Pid": 1})
    found.update({"Image": "sha256:00", "Mounts": [{"Source": "/secret"}], "Args": ["secret"], "Path": "/secret", "GraphDriver": {"Data": "secret"}})
    return found


OPTIONS = [
    Options(internal=internal, ip_label=label, name_from=name, health_checks=True, opt_in=opt_in)
    for internal, label, name, opt_in in itertools.product((False, True), ("", "ip"), ("image", "container", "service"), (False, True))
]


def read_of(found: t.Mapping[str, t.Any]) -> t.Set[Path]:
    """Return the fields that Registrator reads of a container, whatever its options."""
    read: t.Set[Path] = set()
    recording = Recording(found, read)
    for options in OPTIONS:
        services_of(recording, options, HERE, recording)
        reconciler: t.Any = object.__new__(reconcile.Reconciler)
        reconciler._options = Options(deregister="on-success")
        reconcile._is_running(recording)
        reconciler._is_kept(recording)
    drain = draining.Draining()
    draining.asks_to_stop(frozenset({"kill:15"}), recording["Config"])
    drain.begin("a", recording["Config"])
    return read


def test_all_that_registrator_reads_passes_and_nothing_that_it_does_not_read() -> None:
    read: t.Set[Path] = set()
    passed: t.Set[Path] = set()
    other_network = {"n": {"IPAddress": "", "GlobalIPv6Address": "2001:db8::2", "Gateway": "secret"}}
    names = {"com.docker.compose.service": "a", "com.docker.swarm.service.name": "b", "registrator.enable": "true"}
    for found in (
        rich(),
        rich(mode="container:other", ports={}),
        rich(env=[], image="sha256:00", mode="x", networks=other_network),
        rich(env=[], labels=names),
    ):
        read |= read_of(found)
        passed |= set(paths(document_rule("containers/x/json", ["ip"])(found)))
        existing = read & set(paths(found))
        assert existing <= passed, existing - passed
    assert passed - read == set(), "this passes, and nobody reads it"
    assert not any(text in str(passed) for text in ("Cmd", "Mounts", "Healthcheck", "Binds"))


def test_no_secret_passes() -> None:
    assert "secret" not in str(document_rule("containers/x/json", ["ip"])(rich()))
    assert "secret" not in str(document_rule("containers/json")([{**LISTED, "Command": "secret", "Labels": {"a": "secret"}, "Mounts": ["secret"]}]))
    assert document_rule("containers/x/json", whole=True)(rich()) == rich()


KEYS = some.sampled_from(
    ["SERVICE_NAME", "SERVICE_ID", "SERVICE_80_TAGS", "SERVICE_IGNORE", "SERVICE_CHECK_TCP", "OTHER", "ip", "registrator.enable", "registrator.network"]
)
TEXTS = some.sampled_from(["", "a", "n", "true", "false", "10.0.0.9/24", "x,y"])


@given(
    env=some.lists(some.tuples(KEYS, TEXTS).map("=".join)),
    labels=some.dictionaries(KEYS, TEXTS),
    mode=some.sampled_from(["bridge", "host", "n", "container:other"]),
    ports=some.sampled_from([{}, published("80/tcp", "443/tcp"), {"80/tcp": None}]),
    health=some.sampled_from(["healthy", "unhealthy", "none"]),
    options=some.sampled_from(OPTIONS),
)
def test_what_passes_is_mapped_as_the_whole_is(env: t.Any, labels: t.Any, mode: str, ports: t.Any, health: str, options: Options) -> None:
    whole = rich(env=env, labels=labels, mode=mode, ports=ports, health=health)
    passed = document_rule("containers/x/json", ["ip"])(whole)
    assert services_of(passed, options, HERE, passed) == services_of(whole, options, HERE, whole)


LISTED: t.Dict[str, t.Any] = {
    "Id": "a",
    "Names": ["/web"],
    "State": "running",
    "Status": "Up 3 minutes (healthy)",
    "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}


def test_a_list_passes_with_all_that_is_read_of_it() -> None:
    read: t.Set[Path] = set()
    engine._outline(Recording(LISTED, read))
    (passed,) = document_rule("containers/json")([LISTED])
    assert passed == LISTED
    assert engine._outline(passed) == engine._outline(LISTED)


@pytest.mark.parametrize(
    "event",
    [
        {"Type": "container", "Action": "kill", "Actor": {"ID": "a", "Attributes": {"signal": "15", "password": "secret"}}, "timeNano": 5},
        {"Type": "network", "Action": "connect", "Actor": {"ID": "n", "Attributes": {"container": "a", "name": "secret"}}, "timeNano": 5},
        {"status": "die", "id": "a", "from": "secret", "time": 5},
    ],
)
def test_an_event_passes_with_all_that_is_read_of_it(event: t.Dict[str, t.Any]) -> None:
    passed = document_rule("events")(event)
    assert list(engine._events_of([passed], 0)) == list(engine._events_of([event], 0)) != []
    assert "secret" not in str(passed)


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {}, {"Config": 5}, {"Config": {"Env": 5, "Labels": []}}, {"State": {"Running": {"a": "secret"}}}, [["secret"]]]
)
def test_what_is_of_another_kind_does_not_pass(odd: t.Any) -> None:
    for what in ("containers/json", "containers/x/json", "events", "version"):
        assert "secret" not in str(document_rule(what)(odd))
    assert ATTRIBUTES(odd) in (None, {})
