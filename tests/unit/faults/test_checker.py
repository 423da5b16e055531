# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checker finds each kind of trouble in a log, and none in a log without."""

from __future__ import annotations

import dataclasses

import pytest
from faults.checker import Findings, check
from faults.history import MAYBE, NO, OK, Operation
from hypothesis import given
from hypothesis import strategies as st


def add(total: int, begun: float, outcome: str = OK, ended: float | None = None) -> Operation:
    return Operation("add", "counter", outcome, begun, begun + 0.5 if ended is None else ended, total)


def append(element: int, begun: float, outcome: str = OK) -> Operation:
    return Operation("append", "list", outcome, begun, begun + 0.5, element)


def count(total: int, begun: float) -> Operation:
    return Operation("read", "counter", OK, begun, begun + 0.5, total, ("node1",))


def look(elements: tuple[int, ...], begun: float) -> Operation:
    return Operation("read", "list", OK, begun, begun + 0.5, elements, ("node1",))


def troubles(*operations: Operation) -> list[str]:
    """Names of the kinds of trouble that are found."""
    findings = check(operations)
    return [kind.name for kind in dataclasses.fields(Findings) if getattr(findings, kind.name)]


GOOD = {
    "nothing": [],
    "a counter": [add(1, 1), count(1, 1.7), add(2, 2), add(3, 3), count(3, 9)],
    "a list": [append(7, 1), append(5, 2), look((7, 5), 9)],
    "an unknown write that happened": [add(1, 1), add(2, 2, MAYBE), add(3, 3), count(3, 9)],
    "an unknown write that did not happen": [append(1, 1), append(2, 2, MAYBE), append(3, 3), look((1, 3), 9)],
    "an unknown write that happens while it is read": [append(1, 1, MAYBE), look((), 1.1), look((1,), 1.2), look((1,), 9)],
    "a refused write": [append(1, 1), append(2, 2, NO), look((1,), 9)],
    "a read beside a write may show either": [add(1, 1), count(0, 1.2), count(1, 1.3), count(1, 9)],
    "another one is faster": [add(1, 1), add(1, 1.1, NO), count(1, 9)],
    "a read that failed": [add(1, 1), Operation("read", "counter", NO, 2, 3), count(1, 9)],
}


@pytest.mark.parametrize("operations", GOOD.values(), ids=GOOD)
def test_good_logs(operations: list[Operation]) -> None:
    assert troubles(*operations) == []


BAD = {
    "an acknowledged addition is lost": ([add(1, 1), add(2, 2), count(1, 9)], ["lost"]),
    "two additions come to the same sum": ([add(1, 1), add(1, 1.1), count(1, 9)], ["lost"]),
    "an acknowledged element is lost": ([append(1, 1), append(2, 2), look((1,), 9)], ["lost"]),
    "an element is there twice": ([append(1, 1), append(2, 2), look((1, 2, 1), 9)], ["doubled"]),
    "an unknown element is there twice": ([append(1, 1, MAYBE), look((1, 1), 9)], ["doubled"]),
    "a refused element is there": ([append(1, 1), append(2, 2, NO), look((1, 2), 9)], ["ghosts"]),
    "a refused addition is there": ([add(1, 1), add(2, 2, NO), count(2, 9)], ["ghosts"]),
    "an element from nowhere": ([append(1, 1), look((1, 3), 9)], ["ghosts"]),
    "a read after a write does not show it": ([add(1, 1), count(0, 2), count(1, 9)], ["stale"]),
    "a read shows less than a read before": ([append(1, 1, MAYBE), look((1,), 2), look((), 3), look((1,), 9)], ["stale"]),
    "what was read is not how it went on": ([append(1, 1), append(2, 2, MAYBE), look((1, 2), 3), append(3, 4), look((1, 3), 9)], ["lost"]),
    "nobody read the end": ([add(1, 1), count(1, 1.2)], ["unread"]),
    "the end could not be read": ([add(1, 1), Operation("read", "counter", NO, 9, 10)], ["unread"]),
}


@pytest.mark.parametrize(("operations", "kinds"), BAD.values(), ids=BAD)
def test_bad_logs(operations: list[Operation], kinds: list[str]) -> None:
    assert troubles(*operations) == kinds


@given(st.lists(st.sampled_from([OK, NO, MAYBE]), min_size=1, max_size=30), st.data())
def test_any_log_of_a_true_register_is_good_and_any_loss_is_found(outcomes: list[str], data: st.DataObject) -> None:
    """Appends of any outcome one after the other, where the unknown ones happened or did not."""
    happened: tuple[int, ...] = ()
    log = []
    for number, outcome in enumerate(outcomes):
        log.append(append(number, number, outcome))
        if outcome == OK or (outcome == MAYBE and data.draw(st.booleans())):
            happened = (*happened, number)
        log.append(look(happened, number + 0.6))
    log.append(look(happened, 99))
    assert troubles(*log) == []
    acknowledged = [step for step in happened if outcomes[step] == OK]
    if acknowledged:
        lost = data.draw(st.sampled_from(acknowledged))
        log.append(look(tuple(step for step in happened if step != lost), 199))
        assert "lost" in troubles(*log)


def test_the_longest_gap_is_that_between_acknowledged_writes() -> None:
    from faults.history import History

    history = History([add(1, 0.5), add(2, 1.5), add(3, 3, NO), count(2, 4), add(3, 6)])
    assert history.longest_gap(0, 7) == 4.5
    assert history.longest_gap(0, 20) == 13.5
