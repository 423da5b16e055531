# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries that hold one key for a service, on a store in memory."""

from __future__ import annotations

import typing as t

import pytest
from containers import container
from fakes import FakeEngine, Lines
from registrator.ledger import Ledger
from registrator.metrics import Metrics
from registrator.options import Options
from registrator.reconcile import Reconciler
from registrator.registry import BadAddress, connect
from registrator.registry.keyvalue import KeyValue, Store, Stored, address_and_port
from registrator.registry.skydns2 import _value as skydns_value
from registrator.service import Service
from registrator.workqueue import WorkQueue
from registrator.writer import Writer

OURS = "host1"


class Memory(Store):
    def __init__(self) -> None:
        self.held: t.Dict[str, Stored] = {}
        self.writes: t.List[str] = []

    def ping(self) -> str:
        return ""

    def put(self, key: str, value: str) -> None:
        self.writes.append("+" + key)
        self.held[key] = Stored(value, True)

    def delete(self, key: str) -> None:
        self.writes.append("-" + key)
        self.held.pop(key, None)

    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        return {key: stored for key, stored in self.held.items() if key.startswith(prefix)}


def run(store: Memory, *containers: t.Dict[str, t.Any]) -> t.Tuple[Reconciler, Ledger]:
    """Return a Registrator that has just started on a store, and has looked at these containers."""
    metrics = Metrics()
    writer = Writer(KeyValue(store, "pre", OURS, address_and_port), OURS, Lines(), metrics)  # type: ignore[arg-type]
    reconciler = Reconciler(FakeEngine(*containers), writer, Options(ip="10.0.0.1"), WorkQueue(), Lines(), metrics)  # type: ignore[arg-type]
    writer.ledger.compare(writer.registry.registered() or {}, OURS, 0)
    for found in containers:
        reconciler.converge(found["Id"])
    return reconciler, writer.ledger


def test_what_was_written_is_found_with_the_same_fingerprint() -> None:
    registry = KeyValue(Memory(), "pre", OURS, address_and_port)
    service = Service("h:web:80", "team/web", "2001:db8::1", 80, "c")
    registry.register(service)
    entry = (registry.registered() or {})["h:web:80"]
    assert entry.fingerprint == registry.fingerprint(service)
    assert entry.host == OURS
    registry.deregister(service)
    assert registry.registered() == {}


def test_an_earlier_run_s_keys_are_claimed_by_their_containers_and_the_rest_is_removed() -> None:
    store = Memory()
    run(store, container(id="a"), container(id="b", name="db", env=["SERVICE_ID=custom"]))
    store.held["pre/x/foreign"] = Stored("1.2.3.4:5", False)
    store.writes.clear()

    reconciler, ledger = run(store, container(id="a"))
    assert store.writes == []
    for orphan in ledger.orphans():
        reconciler.converge(orphan)
    assert store.writes == ["-pre/nginx/custom"]
    assert sorted(store.held) == ["pre/nginx/host1:web.1:80", "pre/x/foreign"]
    assert ledger.orphans() == []


def test_what_skydns_reads() -> None:
    assert skydns_value(Service("web1", "web", "10.0.0.1", 80, "c")) == '{"host":"10.0.0.1","port":80}'


@pytest.mark.parametrize(
    "uri, key",
    [
        ("etcd://127.0.0.1:2379/a/b", "/a/b/web/web1="),
        ("etcd://127.0.0.1:2379", "/web/web1="),
        ("skydns2://127.0.0.1:2379/apps.example.org", "/skydns/org/example/apps/web/web1="),
        ("consulkv://127.0.0.1:8500/a/b", "a/b/web/web1="),
        ("consulkv-unix:///run/consul.sock:/a", "a/web/web1="),
    ],
)
def test_the_key(uri: str, key: str) -> None:
    registry = connect(Options(registry=uri), OURS, {})
    assert registry.fingerprint(Service("web1", "web", "10.0.0.1", 80, "c")).startswith(key)


@pytest.mark.parametrize("uri", ["skydns2://127.0.0.1:2379", "skydns2://127.0.0.1:2379/", "consulkv://127.0.0.1:8500", "consulkv-unix:///run/consul.sock"])
def test_what_is_missing_in_the_uri_is_told(uri: str) -> None:
    with pytest.raises(BadAddress, match="is missing"):
        connect(Options(registry=uri), OURS, {})
