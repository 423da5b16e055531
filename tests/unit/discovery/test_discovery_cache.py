# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lists are in a file, for a start while Consul is away."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import time
import typing as t

import pytest
from consul_discovery import Client, NotReady, cache
from fake_consul import HANG, FakeConsul, entry, eventually, http

Connect = t.Callable[..., Client]


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "services.json"


def filled(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    """Have a cache file with one instance of web, tagged v2."""
    consul.set(entry("a", tags=["v2"], Meta={"zone": "x"}), entry("ill", tags=["v2"], status="critical"))
    client = connect(cache_file=str(file))
    client.watch("web", ["v2"]).wait(5)
    client.close()


def test_a_start_without_consul_has_the_last_list(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    filled(consul, connect, file)
    consul.stop()
    client = connect(cache_file=str(file))
    web = client.watch("web", ["v2"])
    (found,) = web.wait(5)
    assert (found.id, found.tags, dict(found.meta), len(web.registered)) == ("a", ("v2",), {"zone": "x"}, 2)
    assert web.from_cache and web.pick() is found and "refuses connections" in web.problem
    assert web.age is not None and web.age > 0
    with pytest.raises(NotReady):
        client.watch("web").wait(0.01)


def test_consul_is_preferred_and_not_waited_for_without_end(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    filled(consul, connect, file)
    consul.set(entry("b", tags=["v2"]))
    web = connect(cache_file=str(file)).watch("web", ["v2"])
    assert [one.id for one in web.wait(5)] == ["b"] and not web.from_cache
    consul.say(lambda _unused: HANG)
    late = connect(cache_file=str(file)).watch("web", ["v2"])
    assert late.wait(0.05) and late.from_cache, "consul hangs: after the time that was given, the file is good enough"


def test_subscribers_are_told_the_files_list_and_then_what_differs(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    filled(consul, connect, file)
    consul.stop()
    told: t.List[str] = []
    connect(cache_file=str(file)).watch("web", ["v2"]).subscribe(lambda change: told.append(f"{change.kind} {change.instance.id}"))
    eventually(lambda: told == ["added a"])
    consul.set(entry("b", tags=["v2"]))
    consul.start_again()
    eventually(lambda: told == ["added a", "added b", "removed a"])


def test_an_empty_answer_to_a_start_from_the_file_has_to_be_certain(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    """The file holds what the token was allowed, so that the first answer of a new process can be judged."""
    consul.rights = (200, {"AccessorID": "x", "Policies": [{"ID": "1"}]})
    consul.set(entry("a"))
    client = connect(cache_file=str(file))
    web = client.watch("web")
    web.wait(5)
    eventually(lambda: web.rights)
    client.close()
    consul.rights = (200, {"AccessorID": "x", "Policies": []})
    consul.set()
    web = connect(cache_file=str(file)).watch("web")
    assert [one.id for one in web.wait(5)] == ["a"]
    eventually(lambda: "not known to be what it was" in web.problem)
    consul.rights = (200, {"AccessorID": "x", "Policies": [{"ID": "1"}]})
    eventually(lambda: web.instances == ())


def test_the_file_is_for_its_owner_and_exchanged_as_a_whole(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    filled(consul, connect, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["services.json"]
    before = file.stat().st_ino
    client = connect(cache_file=str(file))
    web = client.watch("web", ["v2"])
    web.wait(5)
    consul.set(entry("new", tags=["v2"]))
    eventually(lambda: file.stat().st_ino != before and "new" in file.read_text())


def test_lists_that_are_not_watched_yet_stay_and_old_ones_go(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    filled(consul, connect, file)
    document = json.loads(file.read_text())
    document["services"].append({**document["services"][0], "service": "old", "confirmed": time.time() - 8 * 86400})
    file.write_text(json.dumps(document))
    client = connect(cache_file=str(file))
    client.watch("other").wait(5)
    client.close()
    assert {one["service"] for one in json.loads(file.read_text())["services"]} == {"web", "other"}


def test_nothing_is_written_while_nothing_is_new(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    filled(consul, connect, file)
    consul.stop()
    before = file.stat().st_ino
    client = connect(cache_file=str(file))
    client.watch("web", ["v2"]).wait(5)
    client.close()
    assert file.stat().st_ino == before, "a list that Consul did not confirm is as old as it was"


ENTRY: t.Dict[str, t.Any] = {"service": "web", "tags": [], "datacenter": None, "confirmed": 1.0, "rights": None, "instances": []}
INSTANCE = {"id": "a", "service": "web", "node": "n", "address": "10.0.0.1", "port": 80, "tags": [], "meta": {}, "status": "passing"}
DAMAGED = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "another format": '{"format": 2, "services": []}',
    "no services": '{"format": 1}',
    "a service that is a number": '{"format": 1, "services": [1]}',
    "a missing field": '{"format": 1, "services": [{"service": "web"}]}',
    **{
        name: json.dumps({"format": 1, "services": [{**ENTRY, **fields}]})
        for name, fields in {
            "a time of text": {"confirmed": "now"},
            "a time beyond all": {"confirmed": 10**400},
            "instances of numbers": {"instances": [1]},
            "a port of text": {"instances": [{**INSTANCE, "port": "80"}]},
            "no id": {"instances": [{**INSTANCE, "id": None}]},
        }.items()
    },
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_said_and_replaced(consul: FakeConsul, connect: Connect, file: pathlib.Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text(text)
    filled(consul, connect, file)
    assert [record.message for record in caplog.records if f"The cache file {file} cannot be used: " in record.message]
    assert json.loads(file.read_text())["services"][0]["instances"][0]["id"] == "a"


@pytest.mark.parametrize("change", [{"address": "a b"}, {"port": 99999}, {"status": "odd"}])
def test_what_is_in_the_file_is_judged_like_an_answer(consul: FakeConsul, connect: Connect, file: pathlib.Path, change: t.Any) -> None:
    consul.stop()
    file.write_text(json.dumps({"format": 1, "services": [{**ENTRY, "instances": [{**INSTANCE, **change}, {**INSTANCE, "id": "good"}]}]}))
    web = connect(cache_file=str(file)).watch("web")
    assert [one.id for one in web.wait(5)] == ["good"]


@pytest.mark.parametrize("moment", [float("nan"), float("-inf"), 10**12])
def test_the_age_of_a_file_is_a_number_whatever_it_says(consul: FakeConsul, connect: Connect, file: pathlib.Path, moment: t.Any) -> None:
    consul.stop()
    file.write_text(json.dumps({"format": 1, "services": [{**ENTRY, "confirmed": moment, "instances": [INSTANCE]}]}))
    web = connect(cache_file=str(file)).watch("web")
    web.wait(5)
    assert web.age is not None and 0 <= web.age < 1e12


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch, consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    filled(consul, connect, file)
    monkeypatch.setattr(cache, "LARGEST_FILE", 10)
    assert cache.read(file) == {}


def test_a_folder_that_is_missing_stops_nothing_and_is_said_once(
    connect: Connect, consul: FakeConsul, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    consul.set(entry())
    client = connect(cache_file=str(tmp_path / "missing/services.json"))
    client.watch("web").wait(5)
    client.watch("other").wait(5)
    client.close()
    assert [record.message for record in caplog.records] == [f"The cache file {tmp_path}/missing/services.json cannot be written: No such file or directory"]


def test_no_token_is_in_the_file(consul: FakeConsul, connect: Connect, file: pathlib.Path) -> None:
    consul.rights = (200, {"AccessorID": "x", "SecretID": "my-secret", "Policies": []})
    consul.script = lambda _unused: http([entry()])
    client = connect(token="my-secret", cache_file=str(file))
    web = client.watch("web")
    web.wait(5)
    eventually(lambda: web.rights)
    client.close()
    assert "my-secret" not in file.read_text()
