# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Who changes this cluster: a key in Consul that a session holds. The cluster itself orders those who want it.

A session lives as long as the health checks that it names are passing, and by default it names that of the node it was made through.
That node may well be stopped while the lock is held, so this session names none: only its time to live ends it.
"""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
from base64 import b64decode
from dataclasses import dataclass

from ansible_collections.discovery.consul.plugins.module_utils._consul.api import ApiError, LeaderlessError, done, wait_until
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, Client
from ansible_collections.discovery.consul.plugins.module_utils._consul.lock import Holder, LockError, name_of, show_time
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

SESSION: Json = {"Name": "discovery.consul lock", "Behavior": "release", "LockDelay": "1s", "Checks": [], "NodeChecks": []}
"""Both lists are empty because releases differ in which of them takes the node's own check away."""

RIGHTS = 'session_prefix "" and key_prefix "discovery.consul/" write'

# How long to wait at least for a lock whose session ended, as nobody gets it until its delay has passed.
DELAY = 5.0


class HeldError(ApiError):
    """Another play holds the lock, or holds it now; `holder` is that play as far as the key names it."""

    def __init__(self, text: str, holder: Holder) -> None:
        super().__init__(text)
        self.holder = holder


@dataclass(frozen=True)
class Held:
    """The key as it is. What is in it was written by whoever may write it."""

    session: str = ""
    index: int = 0
    holder: t.Optional[Json] = None
    since: float = 0

    def __str__(self) -> str:
        since = f", since {show_time(self.since)}" if self.since else ""
        return f"{name_of(self.holder or {})}{since}"


@dataclass(frozen=True)
class ClusterLock:
    """One lock of one cluster. `ttl` is in seconds, after which Consul ends a session that was not renewed, or soon after."""

    client: Client
    key: str
    ttl: int = 900

    @property
    def path(self) -> str:
        return f"/v1/kv/{self.key}"

    def take(self, holder: Holder, wait: float, dead: Holder | None = None, break_holder: str | None = None) -> tuple[str, Held | None]:
        """The session that holds the lock, and whose lock was broken for it. HeldError when it is not free within `wait` seconds."""
        held = self.read()
        if held.session and held.holder == holder:
            return self.renew(held.session, holder), None
        broken = self._broken(held, dead, break_holder)
        return self._taken(holder, max(wait, DELAY if broken else 0)), broken

    def _taken(self, holder: Holder, wait: float) -> str:
        session = str(self._put("/v1/session/create", {**SESSION, "TTL": f"{self.ttl}s"}, "make a session")["ID"])
        try:
            value = {"holder": holder, "since": time.time()}
            if not wait_until(lambda: bool(self._put(self.path, value, "take the lock", acquire=session)), wait):
                raise self._refusal(self.read())
        except BaseException:
            with contextlib.suppress(OperatorError):
                self._end(session)
            raise
        return session

    def renew(self, session: str, holder: Holder | None) -> str:
        """The session that holds the lock on. HeldError when somebody else had the lock in the meantime.

        A session ends with the node that it was made through, when that is taken out of the cluster. It leaves the key without a session, and
        with our name in it for as long as nobody else takes it: then we may.
        """
        done(self.client, lambda: self.client.put(f"/v1/session/renew/{session}", ""), "renew the session of the lock", RIGHTS, good=(200, 404))
        held = self.read()
        if held.session == session:
            return session
        if not held.session and holder and held.holder == holder:
            return self._taken(holder, DELAY)
        now = f"is held by {held} now" if held.session else "is free"
        raise HeldError(
            f"The lock of the cluster ({self.key}) was lost: it was not renewed for {self.ttl} s, or somebody broke it, and {now}. "
            "See what else changes this cluster, and run again.",
            held.holder or {},
        )

    def release(self, session: str) -> bool:
        """Let the lock go, and end the session; whether it was still held. A key that goes first leaves no delay behind."""
        held = self.read()
        if held.session == session:
            done(self.client, lambda: self.client.delete(self.path, cas=str(held.index)), "release the lock", RIGHTS)
        self._end(session)
        return held.session == session

    def read(self) -> Held:
        answer = done(self.client, lambda: self.client.get(self.path, consistent=""), "show the lock", RIGHTS, good=(200, 404))
        return _held(answer) if answer.good else Held()

    def _broken(self, held: Held, dead: Holder | None, break_holder: str | None) -> Held | None:
        """The lock of who is known to be dead, which is broken. That of anybody else is kept."""
        named = held.holder or {}
        if not held.session or (named != dead and name_of(named) != break_holder):
            return None
        done(self.client, lambda: self.client.delete(self.path, cas=str(held.index)), "break the lock", RIGHTS)
        self._end(held.session)
        return held

    def _end(self, session: str) -> None:
        done(self.client, lambda: self.client.put(f"/v1/session/destroy/{session}", ""), "end the session of the lock", RIGHTS)

    def _put(self, path: str, data: Json, what: str, **params: str) -> t.Any:
        return done(self.client, lambda: self.client.put(path, json.dumps(data), **params), what, RIGHTS).data

    def _refusal(self, held: Held) -> HeldError:
        return HeldError(
            f"Another play changes this cluster: {held} ({self.key}). Wait until it has ended. If you know that it is dead, break its lock with "
            f"break_holder: {name_of(held.holder or {})}; by itself it ends at the latest {2 * self.ttl} s after it was last renewed.",
            held.holder or {},
        )


def outcome(client: Client, options: Json, check_mode: bool) -> Json:
    """What a task says. The lock is no state of the cluster, so nothing ever counts as changed."""
    lock = ClusterLock(client, options["key"], options["ttl"])
    result: Json = {"changed": False, "leaderless": False, "session": options["session"] or ""}
    if check_mode:
        return result
    try:
        result.update(_acted(lock, options))
    except LeaderlessError as exc:
        result.update(leaderless=True, reason=str(exc))
    except HeldError as exc:
        result.update(failed=True, msg=str(exc), held_by=exc.holder)
    return result


def _acted(lock: ClusterLock, options: Json) -> Json:
    if options["state"] == "absent":
        lock.release(options["session"])
        return {"session": ""}
    if options["state"] == "renewed":
        return {"session": lock.renew(options["session"], options["holder"])}
    if not options["holder"]:
        raise LockError("Nobody is named as holder. Call it discovery.consul.consul_lock: its action plugin does that.")
    session, broken = lock.take(options["holder"], options["wait"], options["dead"], options["break_holder"])
    if broken is None:
        return {"session": session}
    return {"session": session, "taken_from": broken.holder or {}, "warnings": [f"The lock of another play was broken: {broken}."]}


def _held(answer: Answer) -> Held:
    entry = answer.data[0]
    session, index = str(entry.get("Session") or ""), int(entry["ModifyIndex"])
    try:
        data = json.loads(b64decode(entry["Value"]))
        holder = {name: data["holder"][name] for name in ("user", "controller", "pid", "started", "kernel")}
        holder["pid"] = int(holder["pid"])
        return Held(session, index, {name: _plain(value) for name, value in holder.items()}, _time(data["since"]))
    except (ValueError, TypeError, KeyError):
        return Held(session, index)


def _plain(value: t.Any) -> t.Any:
    """As it may stand in a message: one short line."""
    return "".join(character if character.isprintable() else "?" for character in value)[:100] if isinstance(value, str) else value


def _time(value: t.Any) -> float:
    """A time that can be shown."""
    try:
        show_time(float(value))
    except (OverflowError, OSError, ValueError, TypeError):
        return 0
    return float(value)
