# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs are done in their time, whatever other jobs do."""

from __future__ import annotations

import threading
import time
import typing as t

from registrator.schedule import Job, Schedule


def run(jobs: t.List[Job], failed: t.List[str]) -> Schedule:
    schedule = Schedule(jobs, failed=lambda name, error: failed.append(f"{name} {error}"))
    threading.Thread(target=schedule.run, daemon=True).start()
    return schedule


def test_a_job_that_raises_is_done_again() -> None:
    done, third = [], threading.Event()

    def action() -> None:
        done.append(1)
        if len(done) == 3:
            third.set()
        raise ValueError("odd")

    failed: t.List[str] = []
    schedule = run([Job("bad", 0.01, action)], failed)
    assert third.wait(10)
    schedule.stop()
    assert failed[:2] == ["bad odd", "bad odd"]


def test_a_job_without_a_period_is_done_only_when_asked_for() -> None:
    done, called = [], threading.Event()
    schedule = run([Job("asked", 0, called.set), Job("often", 0.01, lambda: done.append(1))], [])
    while len(done) < 3:
        time.sleep(0.005)
    assert not called.is_set()
    schedule.soon("asked")
    assert called.wait(10)
    schedule.stop()
