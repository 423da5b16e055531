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

PROCESS: Json = {
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
    "break_holder": {"type": "str"},
    "holder": {"type": "dict", "options": PROCESS},
    "dead": {"type": "dict", "options": PROCESS},
}


NOBODY = "unnamed"
"""What a holder is called whose lock does not name it."""


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
        return f"{name_of(self.holder)}, since {show_time(self.since)}, last seen {self.age:.0f} s ago"

    @property
    def age(self) -> float:
        return max(0.0, time.time() - self.refreshed)


def name_of(holder: Holder) -> str:
    """A holder for people, who name it in the same way when they break its lock."""
    return "{user}@{controller}:{pid}".format(**holder) if holder else NOBODY


def show_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


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
            former = take(options["path"], options["holder"], options["stale_after"], options["dead"], options["break_holder"])
            if former is not None:
                result.update(taken_from=former.holder, warnings=[f"The lock of another play was taken over: {former}."])
    except HeldError as exc:
        result.update(failed=True, msg=str(exc), held_by=exc.holder)
    except OperatorError as exc:
        result.update(failed=True, msg=str(exc))
    return result


def take(path: str, holder: Holder, stale_after: float, dead: Holder | None = None, break_holder: str | None = None) -> Record | None:
    """Take the lock, or refresh one's own; whose lock was taken over. That of `dead` and of `break_holder` is free at any age."""
    with _errors(path):
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with _alone(path, os.O_CREAT) as file:
            found = _read(file)
            own = found is not None and found.holder == holder
            if found is not None and not own and found.age < stale_after and found.holder != dead and name_of(found.holder) != break_holder:
                raise HeldError(
                    f"Another play works on this host: {found} ({path}). Wait until it has ended. If you know that it is dead, break its lock with "
                    f"break_holder: {name_of(found.holder)}; by itself it is taken over {stale_after:.0f} s after it was last seen.",
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
