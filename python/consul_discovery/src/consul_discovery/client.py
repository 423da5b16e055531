# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""What an application has one of: it holds the watches on one agent."""

from __future__ import annotations

import os
import threading
import time
import types
import typing as t
import weakref

from .address import Tls
from .agent import Agent, Query
from .cache import Cache, Entries
from .dispatcher import Dispatcher
from .environment import from_environment
from .errors import Closed, ConfigurationError, TooManyWatches
from .follower import CONFIRM, EMPTY_POLICIES, Follower
from .token import Token
from .watch import Watch

MOST_WATCHES = 150
CLOSE_SECONDS = 0.8


class Client:
    """Watches services through one agent of Consul.

    ``url`` is ``http://``, ``https://`` or ``unix://``. A ``token_file`` is read again when it changes. ``cache_file`` keeps the last
    lists for a start while Consul is away; it belongs to one application. ``wait`` is how many seconds Consul is asked to hold a
    question while nothing changes, and so how old the list of a service becomes on which nothing happens.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8500",
        *,
        token: t.Optional[str] = None,
        token_file: t.Optional[str] = None,
        ca_file: t.Optional[str] = None,
        client_cert: t.Optional[str] = None,
        client_key: t.Optional[str] = None,
        tls_server_name: t.Optional[str] = None,
        datacenter: t.Optional[str] = None,
        cache_file: t.Optional[str] = None,
        wait: float = 60.0,
    ) -> None:
        if not 1 <= wait <= 600:
            raise ConfigurationError("wait must be from 1 to 600 seconds, which is what Consul takes.")
        tls = Tls(ca_file, client_cert, client_key, tls_server_name)
        self._agent, self._wait = Agent(url, Token(token, token_file), tls, datacenter), wait
        if self._agent.address.scheme == "https":
            tls.context()
        elif tls != Tls():
            raise ConfigurationError(f"{self._agent.address} is not reached by https://, so that certificates would not be used.")
        self.dispatcher = Dispatcher()
        self._watches: t.Dict[Query, Watch] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._cache = Cache(cache_file, self._entries) if cache_file else None
        _clients.add(self)

    @classmethod
    def from_environment(cls, environment: t.Optional[t.Mapping[str, str]] = None, **options: t.Any) -> Client:
        """Take what is not given from ``CONSUL_HTTP_ADDR``, ``CONSUL_HTTP_TOKEN_FILE`` and the other variables of Consul's own command."""
        return cls(**{**from_environment(os.environ if environment is None else environment), **options})

    def watch(self, service: str, tags: t.Iterable[str] = (), *, warning: bool = False, empty: str = CONFIRM) -> Watch:
        """Subscribe to the instances of a service that have all these tags, and return at once.

        There is one watch for each name and tags, however often it is asked for. With ``warning``, instances whose checks warn are used
        as well. ``empty`` says what is done when Consul has no instance left that passes: ``confirm`` asks a second time for a certain
        answer, ``keep`` keeps the last instances, ``accept`` believes it.
        """
        query = self._query(service, tags)
        if empty not in EMPTY_POLICIES:
            raise ConfigurationError(f"empty must be one of {', '.join(EMPTY_POLICIES)}, not {empty!r}")
        with self._lock:
            if self._closed:
                raise Closed("The client was closed.")
            found = self._watches.get(query)
            if found is None:
                if len(self._watches) >= MOST_WATCHES:
                    raise TooManyWatches(
                        f"There are {MOST_WATCHES} watches, each of which has a connection, and an agent takes 200 from one address. "
                        "Close a watch that is not needed, or ask another agent."
                    )
                found = Watch(self, query, warning, empty, self._cache.loaded.get(query) if self._cache else None)
                self._watches[query] = found
            elif (found.warning, found.empty) != (warning, empty):
                raise ConfigurationError(f"{service} is watched already, with warning={found.warning} and empty={found.empty!r}")
        self.wake(found)
        return found

    def close(self) -> None:
        """End every watch. Returns within a second, from any thread, even that of a subscriber."""
        deadline = time.monotonic() + CLOSE_SECONDS
        with self._lock:
            self._closed = True
            watches = list(self._watches.values())
        followers = [watch.stop() for watch in watches]
        self.dispatcher.close(deadline)
        _join(followers, deadline)
        if self._cache is not None:
            self._cache.close(deadline)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: t.Union[t.Type[BaseException], BaseException, types.TracebackType, None]) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._agent.address}: {len(self._watches)} watches>"

    # What watches use

    def wake(self, watch: Watch) -> None:
        """Have a thread follow a watch. After a fork the child's come at first use."""
        with self._lock:
            if self._closed or self._watches.get(watch.query) is not watch:
                raise Closed(f"The watch on {watch.service} was closed.")
            if watch.dormant:
                watch.start(Follower(watch, self._agent, watch.query, watch.empty, self._wait))
        self.dispatcher.start()

    def forget(self, watch: Watch) -> None:
        with self._lock:
            if self._watches.get(watch.query) is watch:
                del self._watches[watch.query]
        _join([watch.stop()], time.monotonic() + CLOSE_SECONDS)

    def save(self) -> None:
        if self._cache is not None:
            self._cache.save()

    # Within

    def _query(self, service: str, tags: t.Iterable[str]) -> Query:
        if isinstance(tags, str):
            raise ConfigurationError(f"tags must be a list of tags: write [{tags!r}]")
        words = [service, *tags]
        if not all(isinstance(word, str) and word and word.isprintable() for word in words):
            raise ConfigurationError("The name of a service and its tags are text without control characters, and not empty.")
        return Query(service, frozenset(words[1:]), self._agent.datacenter)

    def _entries(self) -> Entries:
        with self._lock:
            watches = list(self._watches.items())
        found = ((query, watch.entry()) for query, watch in watches)
        return {query: entry for query, entry in found if entry is not None}

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        for watch in self._watches.values():
            watch.after_fork()
        self.dispatcher.after_fork()
        if self._cache is not None:
            self._cache.after_fork()


def _join(followers: t.Iterable[t.Optional[Follower]], deadline: float) -> None:
    for follower in followers:
        if follower is not None and follower is not threading.current_thread():
            follower.join(max(0.0, deadline - time.monotonic()))


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()


os.register_at_fork(after_in_child=_after_fork)
