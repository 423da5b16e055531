# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play is known by its process, and called dead only where that can be known."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import play


def test_who_is_dead() -> None:
    alive = play.this_play()
    assert not play.is_dead(alive)
    assert play.is_dead({**alive, "started": "1"}), "another process got its number"
    assert play.is_dead({**alive, "pid": 2**22 + 1})
    assert play.is_dead({**alive, "pid": 2**22 + 1, "started": None}), "a worker that outlived its play took the lock"
    assert not play.is_dead({**alive, "pid": 2**22 + 1, "kernel": "another"}), "a machine that we cannot look into"


@pytest.mark.parametrize(("held_by", "calls"), [(None, 1), ("alive", 1), ("dead", 2)])
def test_the_module_is_told_of_a_dead_holder_and_of_no_other(held_by: str | None, calls: int) -> None:
    ours = play.this_play()
    holder = {"alive": ours, "dead": {**ours, "pid": 2**22 + 1}}.get(str(held_by))
    asked: list[dict[str, t.Any]] = []

    def ask(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        asked.append(arguments)
        return {"held_by": holder} if holder else {}

    play.ask_as_this_play({"path": "/lock"}, ask)
    assert asked[0] == {"path": "/lock", "holder": ours}
    assert asked[1:] == [{"path": "/lock", "holder": ours, "dead": holder}][: calls - 1]


def test_where_nothing_is_known_of_processes_nobody_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "_kernel", lambda: None)
    monkeypatch.setattr(play, "_started", lambda pid: None)
    there = play.this_play()
    assert (there["started"], there["kernel"]) == (None, None)
    assert not play.is_dead({**there, "pid": 2**22 + 1})


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(play.getpass, "getuser", nobody)
    assert play.this_play()["user"] == str(os.getuid())
