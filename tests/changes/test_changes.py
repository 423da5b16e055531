# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What check mode says of a change is what then happens, as the engine and the files show it, and no more than it needs."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import time

import pytest
from node import HIDDEN, NAME, Json, Node, Seen, did, now
from table import CHANGES, Change, steps


@pytest.mark.parametrize(("change", "before", "after"), [pytest.param(*step, id=step[0].name) for step in steps(CHANGES)])
def test_change(node: Node, change: Change, before: Json, after: Json) -> None:
    node.bring_to(before)
    if change.first:
        change.first(node)
    node.options = None  # until the change has been made as it should be
    start, since = node.look(), now()

    predicted = node.run(after, check=True)
    assert node.events(since) == [], "check mode did something to the container"
    assert node.look() == start, "check mode changed something"

    since = now()
    done = node.run(after)
    end, happened = node.look(), did(start, node.look(), node.events(since))
    if change.refused:
        assert change.refused in predicted["msg"] and done["msg"] == predicted["msg"]
        assert end == start
        node.options = before
        return
    assert not predicted.get("failed"), predicted["msg"]
    assert not done.get("failed"), done["msg"]

    assert sorted(one["name"] for one in predicted["plan"]["differences"]) == sorted(change.why)
    assert predicted["plan"]["actions"] == list(change.does)
    assert happened == list(change.does)
    assert {name: done[name] for name in ("changed", "plan")} == {name: predicted[name] for name in ("changed", "plan")}
    assert done.get("diff") == predicted.get("diff")
    assert predicted["changed"] == bool(change.why) == (end != start)
    judge_diff(predicted)
    judge_config(predicted, start.config(node.config_of(before)), end, node.config_of(after), change)
    node.options = after
    assert change.proof is None or change.proof(node)

    settled, since = node.look(), now()
    again = node.run(after)
    assert not again["changed"] and again["plan"] == {"actions": [], "differences": []} and "diff" not in again
    assert node.look() == settled and node.events(since) == []


def test_what_may_not_be_done_now_waits(node: Node) -> None:
    """Two changes in one: what needs a restart is only predicted, and nothing at all is done."""
    last = list(steps(CHANGES))[-1][2]
    node.bring_to({**last, "state": "started"})
    start, since = node.look(), now()
    later = {**last, "state": "started", "allow_disruption": False, "log_level": "err", "domain": "later."}
    predicted, done = node.run(later, check=True), node.run(later)
    assert predicted["plan"] == done["plan"] and predicted["plan"]["actions"] == ["restart"]
    assert [(one["pending"], one["changed"]) for one in (predicted, done)] == [(True, True), (True, False)]
    assert node.look() == start and node.events(since) == []


def test_a_node_that_was_reloaded_is_started_again_when_it_ends(node: Node) -> None:
    """The engine took the reload for no stop by hand."""
    options = {**list(steps(CHANGES))[-1][2], "state": "started", "restart_policy": "unless-stopped", "log_level": "info"}
    node.bring_to(options)
    assert node.run({**options, "log_level": "warn"})["plan"]["actions"] == ["reload"]
    os.kill(node.api.inspect_container(NAME)["State"]["Pid"], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not ((live := node.api.inspect_container(NAME))["RestartCount"] and live["State"]["Running"]):
        assert time.monotonic() < deadline, live["State"]
        time.sleep(0.1)


def judge_diff(answer: Json) -> None:
    """The diff shows the plan, all of it."""
    differences = answer["plan"]["differences"]
    if not differences:
        assert "diff" not in answer
        return
    diff = answer["diff"]
    assert json.loads(diff["before"]) == {one["name"]: one["current"] for one in differences}
    assert json.loads(diff["after"]) == {one["name"]: one["wanted"] for one in differences}
    assert all(action in diff["after_header"] for action in answer["plan"]["actions"])


def judge_config(answer: Json, before: Json, end: Seen, path: pathlib.Path, change: Change) -> None:
    """The configuration is the one before, changed by what the diff shows and by nothing else."""
    if not before or "remove" in change.does:
        return
    shown = {one["name"].partition(".")[2]: one["wanted"] for one in answer["plan"]["differences"] if one["name"].startswith("config.")}
    expected = {key: value for key, value in {**before, **shown}.items() if value is not None}
    really = {key: HIDDEN if expected.get(key) == HIDDEN else value for key, value in end.config(path).items()}
    assert really == expected
