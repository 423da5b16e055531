# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""The last lists, in a file: what an application starts with while Consul is away."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import pathlib
import tempfile
import threading
import time
import typing as t

from . import answers
from .agent import Query
from .errors import AgentError
from .instance import Instance
from .moment import Moment
from .text import printable

_log = logging.getLogger("consul_discovery")

FORMAT = 1
LARGEST_FILE = 256 << 20
KEPT_SECONDS = 7 * 86400
"""How long the list of a service is kept that nobody has watched since."""
REFRESH_SECONDS = 60.0


class Entry(t.NamedTuple):
    instances: t.Tuple[Instance, ...]
    confirmed: Moment
    rights: t.Optional[str]


Entries = t.Dict[Query, Entry]


def read(path: pathlib.Path) -> Entries:
    """Return what is in the file. One that is missing or damaged is an empty one: it is written anew."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise AgentError(f"it is larger than {LARGEST_FILE >> 20} MiB")
        document = answers.decode(path.read_bytes())
        if not isinstance(document, dict) or document.get("format") != FORMAT or not isinstance(document.get("services"), list):
            raise AgentError("it is of another format")
        return dict(_entry(one) for one in document["services"])
    except FileNotFoundError:
        return {}
    except (OSError, AgentError) as error:
        _log.warning("The cache file %s cannot be used: %s", path, printable(str(error)))
        return {}


def _entry(one: t.Any) -> t.Tuple[Query, Entry]:
    try:
        service, tags, datacenter, confirmed, rights = (one[name] for name in ("service", "tags", "datacenter", "confirmed", "rights"))
        query = Query(str(service), frozenset(map(str, tags)), None if datacenter is None else str(datacenter))
        known = answers.listing_from_cache(one["instances"], query.tags).registered
        # A clock that was ahead made no list fresher than one of this moment.
        moment = min(float(confirmed), time.time()) if math.isfinite(confirmed) else 0.0
        return query, Entry(known, Moment.at(moment), None if rights is None else str(rights))
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise AgentError(f"an entry is damaged ({type(error).__name__})") from None


def write(path: pathlib.Path, entries: Entries) -> None:
    """Exchange the file as a whole, readable for its owner alone."""
    services = [
        {
            "service": query.service,
            "tags": sorted(query.tags),
            "datacenter": query.datacenter,
            "confirmed": entry.confirmed.epoch,
            "rights": entry.rights,
            "instances": [one.as_dict() for one in entry.instances],
        }
        for query, entry in entries.items()
    ]
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"format": FORMAT, "services": services}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


class Cache:
    """Writes from a thread of its own: a slow disk keeps no list from being exchanged."""

    def __init__(self, path: str, collect: t.Callable[[], Entries]) -> None:
        self._path, self._collect = pathlib.Path(path), collect
        self.loaded = read(self._path)
        self._written: Entries = dict(self.loaded)
        self._problem = ""
        self.after_fork()

    def after_fork(self) -> None:
        self._changed, self._closing, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._thread: t.Optional[threading.Thread] = None

    def save(self) -> None:
        """Have the present lists written soon, and at most once a second."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="consul-discovery-cache", daemon=True)
                self._thread.start()
        self._changed.set()

    def _run(self) -> None:
        while not self._closing.wait(1):
            # Also when nothing changed: that Consul has confirmed the lists since is worth to be known later.
            self._changed.wait(REFRESH_SECONDS)
            self._changed.clear()
            self._write()
        self._write()

    def _write(self) -> None:
        since = time.time() - KEPT_SECONDS
        entries = {query: entry for query, entry in self.loaded.items() if entry.confirmed.epoch > since}
        entries.update(self._collect())
        if entries == self._written:
            return
        try:
            write(self._path, entries)
            self._written, self._problem = entries, ""
        except OSError as error:
            if str(error) != self._problem:
                _log.warning("The cache file %s cannot be written: %s", self._path, error.strerror)
            self._problem = str(error)

    def close(self, deadline: float) -> None:
        """Write what has not been written, unless the disk takes longer than there is time."""
        with self._lock:
            self._closing.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
