# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that are done now and then, one after the other, in the thread that runs the schedule."""

from __future__ import annotations

import threading
import time
import typing as t

# At most this share of one core goes into a job that costs more the more containers there are.
SHARE = 0.004
LONGEST_PAUSE_S = 60.0


class Job:
    """Something to do every ``period`` seconds, and sooner when it is asked for; never when ``period`` is 0."""

    def __init__(self, name: str, period: float, action: t.Callable[[], None]) -> None:
        self.name, self.period, self.action = name, period, action
        self.due = time.monotonic() + period if period else float("inf")


class Schedule:
    """``run`` is for one thread; ``soon`` and ``stop`` may be called by any.

    ``failed`` is told of what a job raises: the job is done again in its time all the same.
    """

    def __init__(self, jobs: t.Sequence[Job], failed: t.Callable[[str, Exception], None]) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._failed = failed
        self._changed = threading.Condition()
        self._stopped = False

    def soon(self, name: str, delay: float = 0.0) -> None:
        """Do a job after ``delay`` seconds, or earlier if it is due earlier."""
        with self._changed:
            self._jobs[name].due = min(self._jobs[name].due, time.monotonic() + delay)
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """Do the jobs until ``stop``."""
        while True:
            job = self._next()
            if job is None:
                return
            began = time.thread_time()
            try:
                job.action()
            except Exception as error:
                self._failed(job.name, error)
            cost = time.thread_time() - began
            with self._changed:
                if job.period:
                    pause = max(job.period, min(cost / SHARE, LONGEST_PAUSE_S))
                    job.due = min(job.due, time.monotonic() + pause)

    def _next(self) -> t.Optional[Job]:
        """Wait for the next due job; None when stopped."""
        with self._changed:
            while not self._stopped:
                job = min(self._jobs.values(), key=lambda job: job.due)
                pause = job.due - time.monotonic()
                if pause <= 0:
                    job.due = float("inf")
                    return job
                self._changed.wait(min(pause, threading.TIMEOUT_MAX))
            return None
