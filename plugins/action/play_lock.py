# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only the controller knows of a lock: which play wants it, and whether the one that holds it still runs here."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import pathlib
import socket
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.discovery.consul.plugins.module_utils._consul.lock import ARGUMENTS, outcome

Json = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """The module, told who wants the lock; once more when its holder was a process of this machine that is gone."""

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        super().run(tmp, task_vars)
        arguments: Json = {**self._task.args, "holder": this_play()}
        result = self._ask(arguments, task_vars)
        held_by = result.get("held_by")
        if held_by and is_dead(held_by):
            result = self._ask({**arguments, "dead": held_by}, task_vars)
        return result

    def _ask(self, arguments: Json, task_vars: Json | None) -> Json:
        """The module's result. Where the host is this machine it takes no module, whose start is all that a lock costs."""
        if not self._is_here():
            return t.cast(Json, self._execute_module(module_args=arguments, task_vars=task_vars))
        judged = ArgumentSpecValidator(ARGUMENTS).validate(arguments)
        if judged.error_messages:
            raise AnsibleActionFail("; ".join(judged.error_messages))
        return outcome(judged.validated_parameters, self._task.check_mode)

    def _is_here(self) -> bool:
        """Whether the task runs on this machine as this user."""
        return self._connection.transport == "local" and (not self._connection.become or self.get_become_option("become_user") == _user())


def this_play() -> Json:
    """The process that all tasks of this run come from. They are in workers, its children."""
    parent = multiprocessing.parent_process()
    pid = os.getpid() if parent is None or parent.pid is None else parent.pid
    return {"user": _user(), "controller": socket.gethostname(), "pid": pid, "started": _started(pid), "kernel": _kernel()}


def is_dead(holder: Json) -> bool:
    """Whether it is known to run no more. Of another machine, or another container's processes, nothing is known."""
    kernel, started = _kernel(), _started(holder["pid"])
    return kernel is not None and kernel == holder.get("kernel") and (started is None or started != holder.get("started"))


def _user() -> str:
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
