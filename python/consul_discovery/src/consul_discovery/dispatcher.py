# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Tells subscribers what changed, in order, from one thread."""

from __future__ import annotations

import logging
import threading
import time
import typing as t

from . import changes
from .instance import Instance, Key

_log = logging.getLogger("consul_discovery")

Callback = t.Callable[[changes.Change], t.Any]
Source = t.Callable[[], t.Optional[t.Tuple[Instance, ...]]]
STOP_SECONDS = 0.8


class Subscription:
    """One callback, and what it was told. What changed meanwhile is told as the difference: a slow one is told less."""

    def __init__(self, callback: Callback, source: Source) -> None:
        self._callback, self._source = callback, source
        self._told: t.Dict[Key, Instance] = {}
        self._seen: t.Optional[t.Tuple[Instance, ...]] = None
        self.stopped = False
        self.idle = threading.Event()
        self.idle.set()

    def tell(self) -> None:
        """Tell what differs now. What changes during that is left for the next turn, after the other subscribers'."""
        current = self._source()
        if current is None or current is self._seen:
            return
        for change in changes.between(dict(self._told), current):
            if self._source() is not current:
                return
            self.idle.clear()
            try:
                if self.stopped:
                    return
                if change.kind == changes.REMOVED:
                    del self._told[change.instance.key]
                else:
                    self._told[change.instance.key] = change.instance
                self._callback(change)
            except BaseException:  # also one that calls sys.exit: the other subscribers are still there
                _log.exception("A subscriber failed, told of: %s", change)
            finally:
                self.idle.set()
        self._seen = current

    def after_fork(self) -> None:
        """Whatever was being told at that moment is told on by the parent."""
        self.idle = threading.Event()
        self.idle.set()


class Dispatcher:
    def __init__(self) -> None:
        self._subscriptions: t.List[Subscription] = []
        self._thread: t.Optional[threading.Thread] = None
        self._closed = False
        self._news = threading.Event()
        self._lock = threading.Lock()

    def add(self, callback: Callback, source: Source) -> t.Callable[[], None]:
        """Return a function that ends the subscription, and returns when the callback is over or almost a second has passed."""
        subscription = Subscription(callback, source)
        with self._lock:
            self._subscriptions.append(subscription)
        self.start()
        self._news.set()

        def stop() -> None:
            subscription.stopped = True
            with self._lock:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)
            if threading.current_thread() is not self._thread:
                subscription.idle.wait(STOP_SECONDS)

        return stop

    def start(self) -> None:
        """Have a thread, when there is somebody to tell."""
        with self._lock:
            if self._subscriptions and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="consul-discovery-dispatcher", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Some list was exchanged."""
        self._news.set()

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            with self._lock:
                if self._closed:
                    return
                subscriptions = tuple(self._subscriptions)
            for subscription in subscriptions:
                subscription.tell()

    def close(self, deadline: float) -> None:
        with self._lock:
            self._closed = True
            for subscription in self._subscriptions:
                subscription.stopped = True
        self._news.set()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def after_fork(self) -> None:
        self._lock, self._news, self._thread = threading.Lock(), threading.Event(), None
        self._news.set()
        for subscription in self._subscriptions:
            subscription.after_fork()
