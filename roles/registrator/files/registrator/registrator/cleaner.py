# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what is registered for containers that nobody knows any more, once it is known of all that run what they have."""

from __future__ import annotations

import re
import typing as t

from .log import Log, Once
from .registrations import Registrations
from .registry import RegistryError
from .service import Found

CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")


class Cleaner:
    """``clean`` is for one thread. With ``cleanup`` what an older Registrator of this host left without a mark goes, too."""

    def __init__(self, registrations: Registrations, running: t.Callable[[], t.Set[str]], hostname: str, cleanup: bool, log: Log) -> None:
        self._registrations, self._running, self._hostname, self._cleanup, self._log = registrations, running, hostname, cleanup, log
        self._once = Once(log)

    def clean(self, held: t.Mapping[str, Found]) -> None:
        """Remove from what the registry holds what is nobody's. What fails is done again the next time."""
        if not self._registrations.has_seen(self._running()):
            return
        for location, found in self._registrations.left_over().items():
            self._remove(location, found, f"stale: {location} is of no container that runs")
        if self._cleanup:
            for location, found in held.items():
                if not found.owner and is_dangling(found.id, self._hostname):
                    self._remove(location, found, f"dangling: {found.id}")

    def _remove(self, location: str, found: Found, why: str) -> None:
        try:
            if self._registrations.remove_left_over(location, found):
                self._log.info(why)
                self._log.info(f"{found.id or location} removed")
        except RegistryError as error:
            self._once.info(location, f"{why}; deregister failed: {error}")


def is_dangling(service_id: str, hostname: str) -> bool:
    """Tell whether an id is one that a Registrator of this host gave by itself: ``host:container:port[:udp]``."""
    host, _colon, rest = service_id.removesuffix(":udp").partition(f"{hostname}:")
    container, _colon, port = rest.rpartition(":")
    return not host and bool(CONTAINER_NAME.match(container)) and port.isdecimal()
