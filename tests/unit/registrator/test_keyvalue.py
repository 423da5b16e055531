# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries that hold one key for a service, on a store in memory."""

from __future__ import annotations

import typing as t

import pytest
from containers import container, published
from fakes import OURS, Setup
from registrator.cleaner import Cleaner
from registrator.mark import Owner
from registrator.news import DIED
from registrator.options import Options
from registrator.registry import BadAddress, connect
from registrator.registry.keyvalue import KeyValue, Store, Stored, address_and_port
from registrator.registry.skydns2 import _value as skydns_value
from registrator.service import Service


class Memory(Store):
    """Any number of Registrators may share ``held``, each as the owner that it gives."""

    def __init__(self, owner: str = OURS.text, held: t.Optional[t.Dict[str, Stored]] = None) -> None:
        self.owner = owner
        self.held: t.Dict[str, Stored] = {} if held is None else held
        self.writes: t.List[str] = []

    def ping(self) -> str:
        return ""

    def put(self, key: str, value: str) -> None:
        self.writes.append("+" + key)
        self.held[key] = Stored(value, self.owner)

    def delete(self, key: str) -> None:
        self.writes.append("-" + key)
        self.held.pop(key, None)

    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        return {key: stored for key, stored in self.held.items() if key.startswith(prefix)}


class Run(Setup):
    """A Registrator that has just started on a store, and has looked at these containers."""

    def __init__(self, store: Memory, *containers: t.Dict[str, t.Any], owner: Owner = OURS) -> None:
        super().__init__(*containers, registry=KeyValue(store, "pre", address_and_port), owner=owner)
        self.cleaner = Cleaner(self.registrations, lambda: set(self.engine.all), "host1", False, self.log)  # type: ignore[arg-type]
        self.compare()
        self.look(*self.engine.all)

    def clean(self) -> None:
        """Do what is done every few seconds."""
        self.repair()
        self.cleaner.clean(self.registrations.compare()[1])


def test_what_was_written_is_found_with_the_same_fingerprint() -> None:
    registry = KeyValue(Memory(), "pre", address_and_port)
    service = Service("h:web:80", "team/web", "2001:db8::1", 80, "c")
    registry.register(service)
    for found in (registry.registered()["pre/team/web/h:web:80"], registry.find("pre/team/web/h:web:80")):
        assert found and (found.fingerprint, found.owner) == (registry.fingerprint(service), "host1")
    registry.deregister(registry.location(service), "team/web")
    assert registry.registered() == {}


def test_an_earlier_run_s_keys_are_claimed_by_their_containers_and_the_rest_is_removed() -> None:
    store = Memory()
    Run(store, container(id="a"), container(id="b", name="db", env=["SERVICE_ID=custom"]))
    store.held["pre/x/foreign"] = Stored("1.2.3.4:5")
    store.writes.clear()

    later = Run(store, container(id="a"))
    assert store.writes == []
    for _time in range(3):
        later.clean()
    assert store.writes == ["-pre/nginx/custom"]
    assert sorted(store.held) == ["pre/nginx/host1:web.1:80", "pre/x/foreign"]


def test_a_container_that_came_back_from_another_image_leaves_no_key_of_the_old_name() -> None:
    store = Memory()
    Run(store, container(id="a", image="old:1"))
    later = Run(store, container(id="b", image="new:1"))
    for _time in range(3):
        later.clean()
    assert list(store.held) == ["pre/new/host1:web.1:80"]
    assert sorted(store.writes) == ["+pre/new/host1:web.1:80", "+pre/old/host1:web.1:80", "-pre/old/host1:web.1:80"]


def test_two_hosts_of_one_name_leave_each_others_keys_alone() -> None:
    held: t.Dict[str, Stored] = {}
    one, two = Owner("host1-aaaa", "host1"), Owner("host1-bbbb", "host1")
    stores = Memory(one.text, held), Memory(two.text, held)
    first = Run(stores[0], container(id="a"), container(id="s", name="same"), owner=one)
    second = Run(stores[1], container(id="b", name="db"), container(id="t", name="same"), owner=two)
    for _time in range(3):
        first.clean()
        second.clean()
    wanted = {"pre/nginx/host1:web.1:80": one.text, "pre/nginx/host1:same:80": one.text, "pre/nginx/host1:db:80": two.text}
    assert {key: stored.owner for key, stored in held.items()} == wanted
    assert len(stores[0].writes + stores[1].writes) == 3
    first.engine.all.pop("s")
    first.look("s", news=DIED)
    second.clean()
    assert held["pre/nginx/host1:same:80"].owner == two.text


def test_a_key_that_bears_the_hosts_name_alone_is_taken_over_by_who_wants_it_and_left_by_who_does_not() -> None:
    held: t.Dict[str, Stored] = {}
    Run(Memory("host1", held), container(id="a"), container(id="b", name="other-hosts"))
    later = Run(Memory("host1-5f", held), container(id="a"), owner=Owner("host1-5f", "host1"))
    for _time in range(3):
        later.clean()
    assert {key: stored.owner for key, stored in held.items()} == {"pre/nginx/host1:web.1:80": "host1-5f", "pre/nginx/host1:other-hosts:80": "host1"}
    assert len([line for line in later.log if "bears the mark of host1 without an owner" in line]) == 1


def test_nothing_is_removed_while_it_is_not_known_what_a_running_container_has() -> None:
    store = Memory()
    Run(store, container(id="a"), container(id="b", name="db"))
    later = Run(store)
    later.engine.all["a"] = container(id="a")
    for _time in range(3):
        later.clean()
    assert len(store.held) == 2, "judged before the container that runs was looked at"
    later.look("a")
    later.clean()
    assert list(store.held) == ["pre/nginx/host1:web.1:80"]


def test_a_crash_loop_does_not_keep_the_rest_from_being_removed() -> None:
    store = Memory()
    Run(store, container(id="b", name="db"))
    later = Run(store, container(id="a", running=False, ports=published("80/tcp")))
    later.clean()
    assert store.held == {}


def test_what_skydns_reads() -> None:
    assert skydns_value(Service("web1", "web", "10.0.0.1", 80, "c")) == '{"host":"10.0.0.1","port":80}'


@pytest.mark.parametrize(
    "uri, key",
    [
        ("etcd://127.0.0.1:2379/a/b", "/a/b/web/web1"),
        ("etcd://127.0.0.1:2379", "/web/web1"),
        ("skydns2://127.0.0.1:2379/apps.example.org", "/skydns/org/example/apps/web/web1"),
        ("consulkv://127.0.0.1:8500/a/b", "a/b/web/web1"),
        ("consulkv-unix:///run/consul.sock:/a", "a/web/web1"),
        ("zookeeper://127.0.0.1:2181/a", "web/10.0.0.1:80"),
    ],
)
def test_the_location(uri: str, key: str) -> None:
    registry = connect(Options(registry=uri), OURS, {})
    assert registry.location(Service("web1", "web", "10.0.0.1", 80, "c")) == key


@pytest.mark.parametrize("uri", ["skydns2://127.0.0.1:2379", "skydns2://127.0.0.1:2379/", "consulkv://127.0.0.1:8500", "consulkv-unix:///run/consul.sock"])
def test_what_is_missing_in_the_uri_is_told(uri: str) -> None:
    with pytest.raises(BadAddress, match="is missing"):
        connect(Options(registry=uri), OURS, {})
