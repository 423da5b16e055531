# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the registry: whether it answers, and whether it holds what was written. Fills the queue with what is not."""

from __future__ import annotations

import typing as t

from .log import Log
from .news import LOOK, REWRITE
from .registrations import Registrations
from .registry import RegistryError, RegistryUnreachable
from .service import Found
from .workqueue import WorkQueue


class RegistryState:
    """``compare`` is for one thread. ``returned`` is called when a registry that was away answers again.

    ``may_rewrite`` says whether what is known of containers is right, so that what the registry lost can be written
    again without a look at them.
    """

    def __init__(self, registrations: Registrations, queue: WorkQueue, may_rewrite: t.Callable[[], bool], log: Log) -> None:
        self._registrations, self._queue, self._may_rewrite, self._log = registrations, queue, may_rewrite, log
        self._complaint = ""
        self._has_to_end_maintenance = True
        self.is_up = True
        self.returned: t.Callable[[], None] = lambda: None

    def compare(self) -> t.Optional[t.Mapping[str, Found]]:
        """Look at the containers whose services the registry does not hold as they were registered; return what it holds."""
        try:
            compared, held = self._registrations.compare()
            if self._has_to_end_maintenance:
                self._registrations.end_all_maintenance()
                self._has_to_end_maintenance = False
        except RegistryUnreachable as error:
            if self.is_up:
                self._log.info(f"{error}; trying again until it answers")
            self.is_up = False
            return None
        except RegistryError as error:
            if str(error) != self._complaint:
                self._log.info(f"comparison failed: {error}")
            self._complaint = str(error)
            return None
        if not self.is_up:
            self.is_up = True
            self._log.info("The registry answers again")
            self._queue.hurry()
            self.returned()
        for container in compared.damaged:
            self._queue.add(container, REWRITE if self._may_rewrite() else LOOK)
        for container in compared.unknown:
            self._queue.add(container, LOOK)
        return held
