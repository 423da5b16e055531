# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened, counted for Prometheus."""

from __future__ import annotations

import typing as t

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """Any thread may use them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.events = self._counter("registrator_events", "Events of the engine that were read.")
        self.registrations = self._counter("registrator_registrations", "Services written.")
        self.deregistrations = self._counter("registrator_deregistrations", "Services removed.")
        self.renewals = self._counter("registrator_renewals", "Services and checks kept from running out.")
        self.failures = self._counter("registrator_failures", "Looks at a container that failed and are repeated.")
        self.latency = Histogram(
            "registrator_latency_seconds", "From a container's start or end to the end of the work that it caused.", buckets=LATENCY_S, registry=self._registry
        )

    def gauge(self, name: str, explanation: str, value: t.Callable[[], float]) -> None:
        """Have a value asked for whenever the metrics are read."""
        Gauge(name, explanation, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)

    def _counter(self, name: str, explanation: str) -> Counter:
        return Counter(name, explanation, registry=self._registry)
