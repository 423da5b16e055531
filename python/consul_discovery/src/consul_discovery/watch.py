# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""One service's list: kept up to date behind the scenes, and used without waiting."""

from __future__ import annotations

import logging
import threading
import typing as t
from dataclasses import dataclass

from .agent import Query
from .dispatcher import Callback
from .errors import NoInstances, NotReady
from .follower import Follower
from .instance import PASSING, WARNING, Instance
from .moment import Moment
from .outliers import Outliers
from .strategies import Strategy, Tally, counts_calls, round_robin

if t.TYPE_CHECKING:
    from .cache import Entry
    from .client import Client

_log = logging.getLogger("consul_discovery")
_Result = t.TypeVar("_Result")
_Errors = t.Tuple[t.Type[BaseException], ...]


@dataclass(frozen=True)
class Snapshot:
    """A list as it was at one moment."""

    registered: t.Tuple[Instance, ...]
    usable: t.Tuple[Instance, ...]
    filtered: bool = False
    """Whether ACLs kept something back."""


class Watch:
    """Made by ``Client.watch``. Any thread may use it."""

    def __init__(self, client: Client, query: Query, warning: bool, empty: str, cached: t.Optional[Entry]) -> None:
        self.query, self.warning, self.empty = query, warning, empty
        self.rights = cached.rights if cached else None
        self._confirmed = cached.confirmed if cached else None
        self._client = client
        self._follower: t.Optional[Follower] = None
        self._dormant = True
        self._ready = threading.Event()
        self._problem = ""
        self._answered = False
        self._tally, self._outliers = Tally(), Outliers()
        usable = self.usable(cached.instances) if cached else ()
        # An empty list in a cache file says nothing that is worth to be known.
        self._snapshot = Snapshot(cached.instances, usable) if cached and usable else None

    # What applications use

    @property
    def service(self) -> str:
        return self.query.service

    @property
    def tags(self) -> t.FrozenSet[str]:
        return self.query.tags

    @property
    def instances(self) -> t.Tuple[Instance, ...]:
        """Those that may be used."""
        return self._current().usable

    @property
    def registered(self) -> t.Tuple[Instance, ...]:
        """All that Consul knows, whatever their checks say."""
        return self._current().registered

    @property
    def age(self) -> t.Optional[float]:
        """Seconds since Consul last confirmed the list. While nothing happens it confirms it every ``wait`` seconds of the client."""
        return self._confirmed.age() if self._confirmed else None

    @property
    def problem(self) -> str:
        """Why Consul does not confirm the list at present, or an empty string."""
        return self._problem

    @property
    def from_cache(self) -> bool:
        """Whether the list is still the one of the cache file."""
        return self._snapshot is not None and not self._answered

    def wait(self, timeout: t.Optional[float] = None) -> t.Tuple[Instance, ...]:
        """Wait for the first list, and return its instances, of which there may be none.

        It comes from Consul, or from the cache file once Consul has failed to give one. Raises ``NotReady`` when there is neither.
        """
        self._wake()
        if not self._ready.wait(timeout) and self._snapshot is None:
            self._wake()  # it may have been closed meanwhile
            raise NotReady(self.service, self._problem or f"Consul has not answered within {timeout} s")
        return self.instances

    def pick(self, strategy: Strategy = round_robin) -> Instance:
        """Choose an instance from the list in memory, without I/O and without a lock."""
        if self._dormant:
            self._wake()
        if strategy is not round_robin and counts_calls(strategy):
            raise ValueError("This strategy counts the calls that are under way, which only call() knows.")
        snapshot = self._snapshot
        if snapshot is None or not snapshot.usable:
            raise self._nothing(snapshot)
        instances = snapshot.usable
        if self._outliers:
            instances = self._outliers.spare(instances)
        return strategy(instances, self._tally)

    def call(
        self,
        function: t.Callable[[Instance], _Result],
        attempts: int = 3,
        retry_on: t.Union[t.Type[BaseException], _Errors] = (),
        strategy: Strategy = round_robin,
    ) -> _Result:
        """Call a function with an instance, and again with another one when it raises one of ``retry_on``.

        Only what may be done twice belongs into such a function. An instance that fails with one of ``retry_on`` is left out for a
        growing while. When nothing is left to be tried the last error is raised, unchanged.
        """
        if attempts < 1:
            raise ValueError("attempts must be at least 1")
        chosen = self._choose((), strategy)
        if chosen is None:
            raise self._nothing(self._snapshot)
        tried: t.List[Instance] = []
        while True:
            instance = chosen
            tried.append(instance)
            self._tally.begin(instance)
            try:
                result = function(instance)
            except retry_on:
                self._outliers.failed(instance)
                chosen = self._choose(tried, strategy) if len(tried) < attempts else None
                if chosen is None:
                    raise
            else:
                self._outliers.succeeded(instance)
                return result
            finally:
                self._tally.end(instance)

    def subscribe(self, callback: Callback) -> t.Callable[[], None]:
        """Have ``callback`` told each ``Change``: first the present list as added, then what changes. Returns what ends this."""
        self._wake()
        return self._client.dispatcher.add(callback, self._usable_now)

    def close(self) -> None:
        """End the watch, for all who share it."""
        self._client.forget(self)

    def __repr__(self) -> str:
        count = len(self._snapshot.usable) if self._snapshot else "no list of"
        return f"<Watch {self.service} {sorted(self.tags)}: {count} instances>"

    # What the client and the follower use

    def usable(self, registered: t.Tuple[Instance, ...]) -> t.Tuple[Instance, ...]:
        statuses = (PASSING, WARNING) if self.warning else (PASSING,)
        return tuple(one for one in registered if one.status in statuses)

    def has_instances(self) -> bool:
        return bool(self._snapshot and self._snapshot.usable)

    def accept(self, registered: t.Tuple[Instance, ...], filtered: bool) -> None:
        if filtered and not (self._snapshot and self._snapshot.filtered):
            _log.warning("ACLs keep back some instances of %s: %s", self.service, self.query.needs)
        if self._problem:
            _log.warning("Consul confirms the list of %s again", self.service)
        before, after = self._snapshot, Snapshot(registered, self.usable(registered), filtered)
        if before is not None and before.usable == after.usable:
            after = Snapshot(registered, before.usable, filtered)
        self._confirmed, self._problem, self._answered = Moment.now(), "", True
        if after != before:
            self._snapshot = after
            self._client.dispatcher.wake()
            self._client.save()
        self._ready.set()

    def failed(self, problem: str) -> None:
        if not self._problem:
            kept = f"; the list of {len(self._snapshot.usable)} instances is used on" if self._snapshot else ""
            _log.warning("No list of %s from Consul: %s%s", self.service, problem, kept)
        self._problem = problem
        if self._snapshot is not None:
            self._ready.set()
            self._client.dispatcher.wake()

    def entry(self) -> t.Optional[Entry]:
        """Return what the cache file is to keep."""
        from .cache import Entry

        if self._snapshot is None or self._confirmed is None:
            return None
        return Entry(self._snapshot.registered, self._confirmed, self.rights)

    def start(self, follower: Follower) -> None:
        self._follower = follower
        follower.start()
        self._dormant = False

    @property
    def dormant(self) -> bool:
        """Whether no thread keeps the list up to date: it was closed, or this is the child of a fork that has not used it yet."""
        return self._dormant

    def stop(self) -> t.Optional[Follower]:
        """Begin to end, and return the thread that is to be waited for."""
        self._dormant = True
        self._ready.set()
        if self._follower is not None:
            self._follower.stop()
        return self._follower

    def after_fork(self) -> None:
        if self._follower is not None:
            self._follower.abandon()
        self._follower, self._dormant = None, True
        self._tally = Tally()
        self._outliers.after_fork()
        ready = threading.Event()
        if self._ready.is_set():
            ready.set()
        self._ready = ready

    # Within

    def _wake(self) -> None:
        if self._dormant:
            self._client.wake(self)

    def _usable_now(self) -> t.Optional[t.Tuple[Instance, ...]]:
        """What subscribers are told: not yet the cache file's list, as long as Consul may still answer first."""
        return self._snapshot.usable if self._snapshot and self._ready.is_set() else None

    def _current(self) -> Snapshot:
        self._wake()
        if self._snapshot is None:
            raise self._nothing(None)
        return self._snapshot

    def _choose(self, tried: t.Sequence[Instance], strategy: Strategy) -> t.Optional[Instance]:
        """Return an instance that was not tried; one that failed lately only when there is no other."""
        usable = self._current().usable
        places = {one.place for one in tried}
        for instances in (self._outliers.spare(usable), usable):
            candidates = tuple(one for one in instances if one.place not in places)
            if candidates:
                return strategy(candidates, self._tally)
        return None

    def _nothing(self, snapshot: t.Optional[Snapshot]) -> t.Union[NoInstances, NotReady]:
        if snapshot is None:
            return NotReady(self.service, self._problem or "Consul has not answered yet; wait() waits for it")
        passing = sum(one.status == PASSING for one in snapshot.registered)
        hint = f"ACLs keep something back: {self.query.needs}." if snapshot.filtered else ""
        return NoInstances(self.service, len(snapshot.registered), passing, self.age, hint)
