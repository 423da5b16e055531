# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Renders each template when its services have changed and then been quiet."""

from __future__ import annotations

import difflib
import functools
import logging
import threading
import time
import typing as t

from ..changes import Change
from ..client import Client
from ..errors import NotReady
from ..instance import Instance
from ..watch import Watch
from .config import Config, Template
from .errors import RenderError
from .target import Target
from .text import Source

_log = logging.getLogger("consul_discovery.render")

SAY_SECONDS = 10.0
RETRY_SECONDS = 30.0


class Job:
    """One template, its target, its lists, and when it is due."""

    def __init__(self, template: Template, consul: Client) -> None:
        self.template, self.source, self.target = template, Source(template.source), Target(template)
        self.watches: t.Dict[str, Watch] = {
            name: consul.watch(one.service, one.tags, warning=one.warning, empty=one.empty) for name, one in template.services.items()
        }
        self._first: t.Optional[float] = None
        self._last = 0.0
        self._retry: t.Optional[float] = None

    def changed(self) -> None:
        now = time.monotonic()
        self._first, self._last = now if self._first is None else self._first, now

    def due(self) -> t.Optional[float]:
        """When it is to be rendered, or ``None`` while there is no reason to."""
        if self._first is None:
            return self._retry
        return min(self._last + self.template.quiet_min, self._first + self.template.quiet_max)

    def lists(self) -> t.Dict[str, t.Tuple[Instance, ...]]:
        return {name: watch.instances for name, watch in self.watches.items()}

    def render(self) -> bool:
        """Bring the file up to date, and say so in one line. Return whether all is well."""
        self._first = self._retry = None
        try:
            lists = self.lists()
            wanted = self.source.render(lists)
            if self.target.needs(wanted):
                self.target.exchange(wanted)
                _log.info("%s written for %s%s", self.template.target, counted(lists), "; reloaded" if self.template.reload else "")
        except RenderError as error:
            _log.error("%s is left as it was: %s", self.template.target, error)
            self._retry = time.monotonic() + RETRY_SECONDS
            return False
        return True

    def difference(self) -> str:
        """Return what would be changed, as a unified diff."""
        before, after = self.target.content() or b"", self.source.render(self.lists())
        old, new = (text.decode("utf-8", "replace").splitlines(keepends=True) for text in (before, after))
        name = str(self.template.target)
        return "".join(difflib.unified_diff(old, new, name, f"{name} (wanted)"))


def counted(lists: t.Mapping[str, t.Sequence[Instance]]) -> str:
    return ", ".join(f"{len(instances)} {name}" for name, instances in lists.items())


class Renderer:
    def __init__(self, config: Config, consul: Client) -> None:
        self._jobs = [Job(template, consul) for template in config.templates]
        self._news = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        """End after what is under way. May be called by a signal's handler."""
        self._stopped = True

    def once(self, timeout: float) -> bool:
        """Render all when all lists are there. Raises ``NotReady``."""
        self._wait(timeout)
        left = [job for job in self._jobs if not job.render()]
        return not left

    def differences(self, timeout: float) -> str:
        self._wait(timeout)
        return "".join(job.difference() for job in self._jobs)

    def run(self) -> None:
        """Render until ``stop``."""
        while not self._stopped:
            try:
                self._wait(SAY_SECONDS)
                break
            except NotReady as error:
                _log.warning("Nothing is rendered yet. %s", error)
        for job in self._jobs:
            job.changed()
            for watch in job.watches.values():
                watch.subscribe(functools.partial(self._tell, job))
        while not self._stopped:
            for job in self._jobs:
                due = job.due()
                if due is not None and due <= time.monotonic():
                    job.render()
            self._sleep()

    def _tell(self, job: Job, _change: Change) -> None:
        with self._news:
            job.changed()
            self._news.notify_all()

    def _sleep(self) -> None:
        """Until something is due, or news come. Half a second at most, since a signal's handler may not notify."""
        with self._news:
            due = [moment for moment in (job.due() for job in self._jobs) if moment is not None]
            pause = min([0.5, *(moment - time.monotonic() for moment in due)])
            if pause > 0 and not self._stopped:
                self._news.wait(pause)

    def _wait(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        for job in self._jobs:
            for watch in job.watches.values():
                while not self._stopped:
                    try:
                        watch.wait(min(0.5, max(0.0, end - time.monotonic())))
                        break
                    except NotReady:
                        if time.monotonic() >= end:
                            raise
