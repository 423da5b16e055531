# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Which play wants the lock, and whether another one still runs: what only the controller knows, from its own processes."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import pathlib
import socket
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul.lock import Holder


def this_play() -> Holder:
    """The process that all tasks of this run come from. They are in workers, its children."""
    parent = multiprocessing.parent_process()
    pid = os.getpid() if parent is None or parent.pid is None else parent.pid
    return {"user": user(), "controller": socket.gethostname(), "pid": pid, "started": _started(pid), "kernel": _kernel()}


def ask_as_this_play(arguments: t.Mapping[str, t.Any], ask: t.Callable[[dict[str, t.Any]], dict[str, t.Any]]) -> dict[str, t.Any]:
    """The result of a lock's module, told who wants the lock; once more when its holder was a process of this machine that is gone."""
    told = {**arguments, "holder": this_play()}
    result = ask(told)
    held_by = result.get("held_by")
    return ask({**told, "dead": held_by}) if held_by and is_dead(held_by) else result


def is_dead(holder: Holder) -> bool:
    """Whether it is known to run no more. Of another machine, or another container's processes, nothing is known."""
    kernel, started = _kernel(), _started(holder["pid"])
    return kernel is not None and kernel == holder.get("kernel") and (started is None or started != holder.get("started"))


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return str(os.getuid())


def _started(pid: int) -> str | None:
    """The start time of a process that runs; None where there is no such process, or no /proc."""
    try:
        # The name of the program is in parentheses, and may hold some itself.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _kernel() -> str | None:
    try:
        return f"{pathlib.Path('/proc/sys/kernel/random/boot_id').read_text(encoding='utf-8').strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None
