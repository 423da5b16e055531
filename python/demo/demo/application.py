# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""An application that uses the services: it keeps its own lists, calls from them all the time, and counts.

CONSUL_HTTP_ADDR and CONSUL_HTTP_TOKEN_FILE say where Consul is; PAGE_PORT is the port of its page on the loopback.
"""

from __future__ import annotations

import collections
import functools
import http.client
import json
import os
import signal
import socket
import threading
import time
import typing as t
import urllib.request

from consul_discovery import Change, Client, Instance, NoInstances, Watch

from .page import serve

TIMEOUT_SECONDS = 2
PAUSE_SECONDS = 0.1
LAST_CHANGES = 30
WATCHED = (("web", ["v1"]), ("web", ["v2"]), ("rpc", ["v1"]), ("rpc", ["v2"]))
FAILURES = (OSError, http.client.HTTPException, ValueError)


def greet(instance: Instance) -> None:
    """One call of the web service."""
    with urllib.request.urlopen(instance.url("/greetings/en"), timeout=TIMEOUT_SECONDS) as answer:
        if json.load(answer)["language"] != "en":
            raise ValueError("another resource was answered")


def add(instance: Instance) -> None:
    """One call of the RPC service."""
    with socket.create_connection((instance.address, instance.port), TIMEOUT_SECONDS) as connection, connection.makefile("rwb") as file:
        file.write(b'{"id": 1, "method": "add", "params": [1, 2]}\n')
        file.flush()
        if json.loads(file.readline())["result"] != 3:
            raise ValueError("another result was answered")


CALLS: t.Dict[str, t.Callable[[Instance], None]] = {"web": greet, "rpc": add}


class Caller:
    """Calls one service by a tag, again and again, and counts."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.title = " ".join([watch.service, *sorted(watch.tags)])
        self.called = self.tried_again = self.failed = 0
        self.last_failure = ""
        self.by_instance: t.Counter[str] = collections.Counter()

    def run(self, ended: threading.Event) -> None:
        while not ended.wait(PAUSE_SECONDS):
            self.once()

    def once(self) -> None:
        """One call, which counts after its retries."""
        tries = 0

        def act(instance: Instance) -> None:
            nonlocal tries
            tries += 1
            CALLS[self.watch.service](instance)
            self.by_instance[instance.id] += 1

        self.called += 1
        try:
            self.watch.call(act, attempts=3, retry_on=FAILURES)
        except (*FAILURES, NoInstances) as error:
            self.failed += 1
            self.last_failure = f"{type(error).__name__}: {error}"
        self.tried_again += max(tries - 1, 0)

    def state(self) -> t.Dict[str, t.Any]:
        """What is known of the service, and how the calls went."""
        watch = self.watch
        listed = [
            {"id": one.id, "address": one.address, "port": one.port, "tags": list(one.tags), "status": one.status, "calls": self.by_instance[one.id]}
            for one in sorted(watch.registered, key=lambda one: one.id)
        ]
        return {
            "usable": sorted(one.id for one in watch.instances),
            "registered": listed,
            "age": watch.age,
            "problem": watch.problem,
            "called": self.called,
            "tried_again": self.tried_again,
            "failed": self.failed,
            "last_failure": self.last_failure,
        }


class Application:
    """The callers, and what they were told."""

    def __init__(self, client: Client) -> None:
        # An agent that was started again calls every check critical until it has run once. The last list is better than none.
        self.callers = [Caller(client.watch(service, tags, empty="keep")) for service, tags in WATCHED]
        self.changes: t.Deque[t.Dict[str, t.Any]] = collections.deque(maxlen=LAST_CHANGES)
        for caller in self.callers:
            caller.watch.wait(timeout=60)
            caller.watch.subscribe(functools.partial(self.told, caller.title))

    def told(self, title: str, change: Change) -> None:
        """Keep a change, newest first."""
        self.changes.appendleft({"at": time.time(), "list": title, "kind": change.kind, "instance": change.instance.id})

    def state(self) -> t.Dict[str, t.Any]:
        return {"at": time.time(), "lists": {caller.title: caller.state() for caller in self.callers}, "changes": list(self.changes)}


def main() -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_signal: ended.set())
    with Client.from_environment() as client:
        application = Application(client)
        threads = [threading.Thread(target=caller.run, args=[ended], daemon=True) for caller in application.callers]
        for thread in threads:
            thread.start()
        with serve(int(os.environ.get("PAGE_PORT", "8000")), application.state):
            ended.wait()


if __name__ == "__main__":
    main()
