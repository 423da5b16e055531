# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Who works on this host: a file that says which play. A lock of the kernel orders those who look at it, so only one can take it.

The kernel's lock itself cannot be what keeps others out: it ends with each task, and a play is many of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]
Holder = Json

_PROCESS: Json = {
    "user": {"type": "str", "required": True},
    "controller": {"type": "str", "required": True},
    "pid": {"type": "int", "required": True},
    "started": {"type": "str"},
    "kernel": {"type": "str"},
}
ARGUMENTS: Json = {
    "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
    "path": {"type": "path", "default": "/run/discovery.consul/lock"},
    "stale_after": {"type": "int", "default": 900},
    "holder": {"type": "dict", "options": _PROCESS},
    "dead": {"type": "dict", "options": _PROCESS},
}


class LockError(OperatorError):
    """The lock cannot be taken or released; the text says why."""


class HeldError(OperatorError):
    """Another play holds the lock; the text says which."""

    def __init__(self, text: str, holder: Holder) -> None:
        super().__init__(text)
        self.holder = holder


@dataclasses.dataclass(frozen=True)
class Record:
    """What the file says. Where it cannot be understood nobody is named, and its own time counts."""

    holder: Holder
    since: float
    refreshed: float

    def __str__(self) -> str:
        who = "{user}@{controller}, process {pid}".format(**self.holder) if self.holder else "somebody whom it does not name"
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.since))
        return f"{who}, since {since}, last seen {self.age:.0f} s ago"

    @property
    def age(self) -> float:
        return max(0.0, time.time() - self.refreshed)


def outcome(options: Json, check_mode: bool) -> Json:
    """What a task says, in the module and where the controller itself is the host."""
    result: Json = {"changed": False}
    try:
        if check_mode:
            pass
        elif not options["holder"]:
            raise LockError("Nobody is named as holder. Call it discovery.consul.play_lock: its action plugin does that.")
        elif options["state"] == "absent":
            release(options["path"], options["holder"])
        else:
            former = take(options["path"], options["holder"], options["stale_after"], options["dead"])
            if former is not None:
                result.update(taken_from=former.holder, warnings=[f"The lock of a play that is dead was taken over: {former}."])
    except HeldError as exc:
        result.update(failed=True, msg=str(exc), held_by=exc.holder)
    except OperatorError as exc:
        result.update(failed=True, msg=str(exc))
    return result


def take(path: str, holder: Holder, stale_after: float, dead: Holder | None = None) -> Record | None:
    """Take the lock, or refresh one's own; whose lock was taken over. `dead` is one whose lock is free at any age."""
    with _errors(path):
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with _alone(path, os.O_CREAT) as file:
            found = _read(file)
            own = found is not None and found.holder == holder
            if found is not None and not own and found.holder != dead and found.age < stale_after:
                raise HeldError(
                    f"Another play works on this host: {found} ({path}). Wait until it has ended. If it is dead, its lock is taken over "
                    f"{stale_after:.0f} s after it was last seen; or remove {path}.",
                    found.holder,
                )
            now = time.time()
            _write(file, Record(holder, found.since if found is not None and own else now, now))
            return None if own else found


def release(path: str, holder: Holder) -> None:
    """Remove the lock if it is one's own."""
    with _errors(path), contextlib.suppress(FileNotFoundError), _alone(path) as file:
        found = _read(file)
        if found is not None and found.holder == holder:
            os.remove(path)


@contextlib.contextmanager
def _alone(path: str, flags: int = 0) -> t.Iterator[int]:
    """The file while no other process looks at it. One that was removed while we waited for our turn is not the one any more."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                yield file
                return
        finally:
            os.close(file)


def _is_at(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _read(file: int) -> Record | None:
    """None where nothing is written yet."""
    status = os.fstat(file)
    text = os.pread(file, status.st_size, 0)
    if not text:
        return None
    try:
        data = json.loads(text)
        record = Record({**data["holder"]}, float(data["since"]), float(data["refreshed"]))
        str(record)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return Record({}, status.st_mtime, status.st_mtime)
    return record


def _write(file: int, record: Record) -> None:
    text = json.dumps(dataclasses.asdict(record), indent=2).encode() + b"\n"
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))


@contextlib.contextmanager
def _errors(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise LockError(f"The lock {path} cannot be written ({exc.strerror}). Run with become: true, or give another path.") from exc
