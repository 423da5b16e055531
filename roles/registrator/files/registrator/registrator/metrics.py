# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of what happened, in the text format that Prometheus reads."""

from __future__ import annotations

import threading
import typing as t

HELP = {
    "registrator_services": ("gauge", "Services that are registered."),
    "registrator_queue": ("gauge", "Containers that wait to be looked at."),
    "registrator_engine_up": ("gauge", "1 while the engine's events are read."),
    "registrator_registry_up": ("gauge", "1 while the registry answers."),
    "registrator_events_total": ("counter", "Events of the engine that were read."),
    "registrator_registrations_total": ("counter", "Services written."),
    "registrator_deregistrations_total": ("counter", "Services removed."),
    "registrator_failures_total": ("counter", "Looks at a container that failed and are repeated."),
    "registrator_latency_seconds_sum": ("counter", "Seconds from an event to the end of the work that it caused, summed up."),
    "registrator_latency_seconds_count": ("counter", "Pieces of work in that sum."),
}


class Metrics:
    """Counters, by name without prefix. Any thread may use them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: t.Dict[str, float] = {}

    def add(self, name: str, amount: float = 1) -> None:
        with self._lock:
            self._values[name] = self._values.get(name, 0) + amount

    def text(self, gauges: t.Mapping[str, float]) -> str:
        """Return everything, with these values of what goes up and down."""
        with self._lock:
            values = {**self._values, **gauges}
        lines = []
        for name, (kind, explanation) in HELP.items():
            value = values.get(name[len("registrator_") :], 0)
            lines += [f"# HELP {name} {explanation}", f"# TYPE {name} {kind}", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"
