# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What all modules share that ask one agent's HTTP API: arguments, a start, and how answers are judged."""

from __future__ import annotations

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, Client, ConsulError, LibraryMissingError, check_library
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]
Work = t.Callable[[Client, Json, bool], Json]

API_ARGUMENTS: Json = {
    "ca_cert": {"type": "path"},
    "timeout": {"type": "float", "default": 30},
    "token": {"type": "str", "no_log": True},
    "url": {"type": "str", "default": "http://127.0.0.1:8500"},
}
"""Documented in the fragment `api`."""

NO_LEADER = ("No cluster leader", "No known Consul servers", "Raft leader not found in server lookup mapping", "Not ready to serve consistent reads")
"""How Consul's releases say that there is nobody who could do it."""

POLL = 0.2


class Asks(t.Protocol):
    """Whatever reads from an agent."""

    def get(self, path: str, **params: str) -> Answer: ...


class ApiError(OperatorError):
    """A call that Consul did not do; the text says what it answered."""


class LeaderlessError(ApiError):
    """There is no leader, so nothing that concerns the cluster can be done."""


def run(module: AnsibleModule, work: Work) -> None:
    """Do the work with a client of the agent that the options name, and end the module."""
    options = module.params
    try:
        check_library()
        client = Client(options["url"], options["token"], options["ca_cert"] or True, timeout=options["timeout"])
        result = work(client, options, module.check_mode)
    except LibraryMissingError as exc:
        module.fail_json(msg=missing_required_lib(exc.name), exception=str(exc))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


def done(client: Asks, ask: t.Callable[[], Answer], what: str, right: str, good: t.Collection[int] = (200,)) -> Answer:
    """The answer to what `ask` asks, with one of the statuses `good`; an error that says what was not done, and why."""
    try:
        answer = ask()
    except ConsulError as exc:
        if knows_no_leader(client):
            raise LeaderlessError(f"Consul did not {what}: there is no leader ({exc.evidence}).") from exc
        raise
    if answer.status in good:
        return answer
    if any(words in str(answer.data) for words in NO_LEADER) or (answer.denied and knows_no_leader(client)):
        raise LeaderlessError(f"Consul did not {what}: there is no leader ({answer.trouble}).")
    advice = f" Give a token with {right}." if answer.denied else ""
    raise ApiError(f"Consul did not {what}: {answer.trouble}.{advice}")


def knows_no_leader(client: Asks) -> bool:
    """Whether the agent says that it follows nobody. One that does not answer says nothing."""
    try:
        answer = client.get("/v1/status/leader")
    except ConsulError:
        return False
    return (answer.good and not answer.data) or any(words in str(answer.data) for words in NO_LEADER)


def wait_until(reached: t.Callable[[], bool], seconds: float) -> bool:
    """Whether it came to be so in that time. It is looked at once more at the end."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True
