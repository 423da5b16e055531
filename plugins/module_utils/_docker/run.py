# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Run one converging program as an Ansible module: its result, its diff, its warnings, and its errors as sentences."""

from __future__ import annotations

import json
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._docker.converge import Result
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import LibraryMissingError
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError, without_rights


class Convergent(t.Protocol):
    """A program that brings one thing to its wanted state."""

    name: str

    def converge(self, check_mode: bool) -> Result: ...


def run(module: AnsibleModule, make: t.Callable[[], Convergent], warnings: t.Iterable[str] = ()) -> None:
    """Make the program, converge, and end the module."""
    for warning in warnings:
        module.warn(warning)
    try:
        program = make()
        result = program.converge(module.check_mode)
    except LibraryMissingError as exc:
        module.fail_json(msg=missing_required_lib("docker"), exception=str(exc))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=without_rights(exc))
    for warning in result.warnings:
        module.warn(warning)
    answer: dict[str, t.Any] = {
        "changed": result.changed,
        "pending": result.pending,
        "plan": result.plan.as_dict(),
        "container_name": program.name,
        **result.facts,
    }
    if module._diff and result.plan.differences:
        answer["diff"] = _diff(program.name, result)
    module.exit_json(**answer)


def _diff(name: str, result: Result) -> dict[str, str]:
    sides = {"before": {}, "after": {}}  # type: dict[str, dict[str, t.Any]]
    for one in result.plan.differences:
        sides["before"][one.name], sides["after"][one.name] = one.current, one.wanted
    shown = {side: json.dumps(values, indent=2, sort_keys=True, default=str) + "\n" for side, values in sides.items()}
    return {**shown, "before_header": f"{name} (live)", "after_header": f"{name} ({', '.join(result.plan.actions) or 'write'})"}
