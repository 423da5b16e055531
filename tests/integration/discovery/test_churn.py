# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fifty changes a second for a minute, with the agent killed in between."""

from __future__ import annotations

import os
import random
import threading
import time
import typing as t

from consul_discovery import Change, Client, Instance
from fake_consul import eventually
from servers import Server

SECONDS = float(os.environ.get("TEST_CHURN_SECONDS", "60"))


def change(consul: Server, chance: random.Random) -> None:
    name = f"web-{chance.randrange(40)}"
    if chance.random() < 0.3:
        consul.deregister(name)
    else:
        consul.register(name, port=chance.randrange(1, 65536), Tags=chance.sample(["v1", "v2", "blue"], 2))


def registry(consul: Server) -> t.Set[t.Tuple[str, int, t.FrozenSet[str]]]:
    return {(one["Service"]["ID"], one["Service"]["Port"], frozenset(one["Service"]["Tags"])) for one in consul.get("/v1/health/service/web?consistent")}


def as_registry(instances: t.Iterable[Instance]) -> t.Set[t.Tuple[str, int, t.FrozenSet[str]]]:
    return {(one.id, one.port, frozenset(one.tags)) for one in instances}


def test_the_list_is_the_registrys_within_a_second(server: t.Callable[..., Server], connect: t.Callable[..., Client]) -> None:
    consul = server().ready()
    client = connect(consul.url)
    web = client.watch("web")
    told: t.Dict[t.Any, Instance] = {}
    lock = threading.Lock()

    def tell(news: Change) -> None:
        with lock:
            if news.kind == "removed":
                del told[news.instance.key]
            else:
                assert (news.kind == "added") == (news.instance.key not in told)
                told[news.instance.key] = news.instance

    web.subscribe(tell)
    chance, made, refused = random.Random(7), 0, 0
    began = time.monotonic()
    killed = False
    while time.monotonic() - began < SECONDS:
        # The schedule is kept up by the number of changes, whatever one of them takes.
        due = began + (made + refused) / 50
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            change(consul, chance)
            made += 1
        except OSError:
            refused += 1
        if not killed and time.monotonic() - began > SECONDS / 2:
            killed = True
            consul.kill()
            threading.Timer(2, consul.start).start()
    eventually(lambda: registry(consul) and change(consul, chance) is None, 30)
    last = time.monotonic()
    wanted = registry(consul)
    eventually(lambda: as_registry(web.instances) == wanted)
    took = time.monotonic() - last
    eventually(lambda: as_registry(list(told.values())) == wanted)
    told_after = time.monotonic() - last
    print(
        f"\n{made} changes, {refused} refused while there was no agent; the list was right {took:.3f} s after the last, all was told after {told_after:.3f} s"
    )
    assert made > SECONDS * 50 * 0.6
    assert took < 1 and told_after < 1.5
    assert web.problem == "" and len(wanted) > 10
