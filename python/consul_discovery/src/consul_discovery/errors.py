# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""What can go wrong, in words for whoever operates the application."""

from __future__ import annotations

import typing as t


class DiscoveryError(Exception):
    """The base of every error of this package."""


class ConfigurationError(DiscoveryError, ValueError):
    """Something that was given cannot be used. Nothing was started."""


class Closed(DiscoveryError):
    """The client or the watch was closed."""


class TooManyWatches(DiscoveryError):
    """A client has as many watches as one agent takes from one address."""


class NotReady(DiscoveryError):
    """There has been no list yet, neither from Consul nor from the cache file."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"There is no list of {service} yet: {reason}")
        self.service, self.reason = service, reason


class NoInstances(DiscoveryError):
    """There is a list, and no instance in it may be used.

    ``registered`` instances are known to Consul, ``passing`` of them pass their checks. ``age`` is how many seconds ago Consul
    last confirmed the list.
    """

    def __init__(self, service: str, registered: int, passing: int, age: t.Optional[float], hint: str = "") -> None:
        confirmed = "never confirmed by Consul" if age is None else f"as of {age:.1f} s ago"
        super().__init__(f"No instance of {service} can be used: {registered} registered, {passing} passing, {confirmed}.{hint and ' ' + hint}")
        self.service, self.registered, self.passing, self.age = service, registered, passing, age


class AgentError(DiscoveryError):
    """An agent gave no answer that can be used. A watch keeps its list and asks again."""
