# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller loses its power a moment after the task number $DIE_AT_TASK of a play has begun."""

from __future__ import annotations

import os
import signal
import threading
import typing as t

from ansible.plugins.callback import CallbackBase

# Enough for the task to reach the host, so that some die in the middle of their work there.
MOMENT = 0.5


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "die_at_task"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._left = int(os.environ["DIE_AT_TASK"])

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._left -= 1
        if self._left == 0:
            threading.Timer(MOMENT, os.killpg, (0, signal.SIGKILL)).start()
