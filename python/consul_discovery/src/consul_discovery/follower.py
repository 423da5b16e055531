# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Keeps one watch's list up to date: a thread, a connection, and blocking queries as Consul documents them."""

from __future__ import annotations

import contextlib
import logging
import threading
import typing as t

from .agent import NO_ACLS, Agent, Health, Query
from .errors import AgentError
from .instance import Instance
from .pace import Backoff, TokenBucket

_log = logging.getLogger("consul_discovery")

CONFIRM, KEEP, ACCEPT = "confirm", "keep", "accept"
RIGHTS_SECONDS = 3.0
EMPTY_POLICIES = (CONFIRM, KEEP, ACCEPT)


class Keeper(t.Protocol):
    """What a follower wants of the watch that it works for."""

    rights: t.Optional[str]
    """What the token was allowed when the list was last full."""

    def usable(self, registered: t.Tuple[Instance, ...]) -> t.Tuple[Instance, ...]:
        """Return those that may be used."""

    def has_instances(self) -> bool:
        """Whether the present list holds an instance that may be used."""

    def accept(self, registered: t.Tuple[Instance, ...], filtered: bool) -> None:
        """Exchange the list: this is what Consul has."""

    def failed(self, problem: str) -> None:
        """Keep the list: there was no answer that could replace it."""


class Follower(threading.Thread):
    def __init__(self, keeper: Keeper, agent: Agent, query: Query, empty: str, wait: float) -> None:
        super().__init__(name=f"consul-discovery-{query.service}", daemon=True)
        self._keeper, self._agent, self._query, self._empty, self._wait = keeper, agent, query, empty, wait
        self._connection = agent.connection()
        self._stopped = threading.Event()
        self._backoff = Backoff()
        self._rights_of: t.Optional[str] = None
        self._left_out: t.Tuple[str, ...] = ()

    def stop(self) -> None:
        """Begin to end. Any thread may call it."""
        self._stopped.set()
        self._connection.interrupt()

    def abandon(self) -> None:
        """After a fork, in the child: the connection is the parent's."""
        self._connection.close()

    def run(self) -> None:
        bucket, index = TokenBucket(), 0
        while bucket.wait(self._stopped):
            try:
                health = self._take(self._agent.health(self._connection, self._query, index, self._wait))
            except AgentError as error:
                index = self._failed(str(error))
            except Exception as error:
                _log.exception("Following %s failed in a way that nobody foresaw", self._query.service)
                index = self._failed(f"{type(error).__name__}, which is a defect of consul_discovery")
            else:
                index = self._next(index, health.changed_at)
        self._connection.close()

    def _failed(self, problem: str) -> int:
        """Return the index to go on with: an agent that was away may be one that has forgotten what it had."""
        self._connection.close()
        if not self._stopped.is_set():
            self._keeper.failed(problem)
            self._backoff.wait(self._stopped)
        return 0

    def _next(self, index: int, answered: int) -> int:
        if answered < 1:
            # No one can block on this. 1 is always safe with Consul; whatever else answers is asked less and less.
            self._backoff.wait(self._stopped)
            return 1
        self._backoff.reset()
        return 0 if answered < index else answered

    def _take(self, health: Health) -> Health:
        if health.leader is False:
            raise AgentError(f"{self._agent.address} knows no leader")
        if health.left_out and health.left_out != self._left_out:
            _log.warning("Left out of %s: %s", self._query.service, "; ".join(health.left_out[:3]))
        self._left_out = health.left_out
        if health.filtered and not health.registered and self._empty != ACCEPT:
            raise AgentError(f"ACLs keep back every instance of {self._query.service}: {self._query.needs}")
        if not self._keeper.usable(health.registered) and self._keeper.has_instances():
            if self._empty == KEEP:
                self._keeper.failed(f"Consul has no instance of {self._query.service} that passes, and the list is kept as was asked")
                return health
            if self._empty == CONFIRM:
                health = self._confirm()
        self._keeper.accept(health.registered, health.filtered)
        if self._empty == CONFIRM and self._keeper.has_instances():
            self._remember_rights()
        return health

    def _confirm(self) -> Health:
        """Ask again, of the leader and its quorum. Raises ``AgentError`` unless it is certain that there is no instance."""
        health = self._agent.health(self._connection, self._query, consistent=True)
        if self._keeper.usable(health.registered):
            return health
        unless = f"Consul's list of {self._query.service} became empty, and it is not certain that it is"
        if health.leader is not True:
            raise AgentError(f"{unless}: no leader is known")
        if health.filtered:
            raise AgentError(f"{unless}: ACLs keep something back; {self._query.needs}")
        rights = self._agent.rights(self._connection)
        if rights != NO_ACLS and (rights is None or rights != self._keeper.rights):
            self._rights_of = None
            raise AgentError(f"{unless}: what the token may read is not known to be what it was; {self._query.needs}")
        return health

    def _remember_rights(self) -> None:
        """Once for each token: what it was allowed when there was a full list."""
        token = self._agent.token.read()
        if token != self._rights_of:
            # No answer is no reason to do without the list. The question comes again with the next one.
            with contextlib.suppress(AgentError):
                self._keeper.rights = self._agent.rights(self._connection, RIGHTS_SECONDS)
                self._rights_of = token
