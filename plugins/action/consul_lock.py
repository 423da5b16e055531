# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of a cluster's lock."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.discovery.consul.plugins.module_utils._consul import play

Json = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """The module, told who wants the lock."""

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        super().run(tmp, task_vars)
        return play.ask_as_this_play(self._task.args, lambda arguments: t.cast(Json, self._execute_module(module_args=arguments, task_vars=task_vars)))
