# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of a lock."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.discovery.consul.plugins.module_utils._consul import play
from ansible_collections.discovery.consul.plugins.module_utils._consul.lock import ARGUMENTS, outcome

Json = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """The module, told who wants the lock."""

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        super().run(tmp, task_vars)
        result = play.ask_as_this_play(self._task.args, lambda arguments: self._ask(arguments, task_vars))
        return {**result, "strategy": str(self._task.get_play().strategy)}

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
        return self._connection.transport == "local" and (not self._connection.become or self.get_become_option("become_user") == play.user())
