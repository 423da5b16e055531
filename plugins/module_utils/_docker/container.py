# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Carry out what a plan says on one container, and put back what was there when it does not work out."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError
from ansible_collections.discovery.consul.plugins.module_utils._docker.plan import RECOVER, Difference, Plan, with_specification

Json = t.Dict[str, t.Any]

Ready = t.Callable[[Json], t.Optional[str]]
"""Looks at an inspected container and says why it is not ready yet, or None when it is."""

ASIDE = "-replaced"
"""What is added to the name of a container that is being replaced, until its successor has proven itself."""

POLL = 0.1


class ContainerError(OperatorError):
    """A container ended, turned unhealthy or did not get ready; the text holds its last log lines."""


class Container:
    """One container by name: the steps that a plan is made of.

    `undo` puts back what was changed beside the container (its configuration) before the old container runs again.
    `stop_timeout` is how many seconds a stop waits before it kills; `ready_timeout` how many a start may take.
    """

    def __init__(
        self, engine: Engine, name: str, ready: Ready, undo: t.Callable[[], None] = lambda: None, stop_timeout: int = 30, ready_timeout: float = 60
    ) -> None:
        self.engine = engine
        self.name = name
        self.ready = ready
        self.undo = undo
        self.stop_timeout = stop_timeout
        self.ready_timeout = ready_timeout

    def create(self, wanted: Json) -> None:
        """Make the container, not started, with all its networks."""
        wanted = with_specification(wanted)
        networks = dict(wanted.get("Networks") or {})
        body = {**wanted["Config"], "HostConfig": wanted["HostConfig"]}
        if networks:
            first = next(iter(networks))
            body["NetworkingConfig"] = {"EndpointsConfig": {first: networks.pop(first)}}
        with self.engine.doing(f"create the container {self.name}"):
            self.engine.api.create_container_from_config(body, self.name)
        for network, endpoint in networks.items():
            with self.engine.doing(f"connect the container {self.name} to the network {network}"):
                self.engine.api.connect_container_to_network(
                    self.name, network, ipv4_address=(endpoint.get("IPAMConfig") or {}).get("IPv4Address"), aliases=endpoint.get("Aliases")
                )

    def create_and_start(self, wanted: Json) -> None:
        """Make and start a container that was not there; nothing of it stays when it does not come up."""
        try:
            self.create(wanted)
            self.start()
        except BaseException:
            self.remove()
            self.undo()
            raise

    def start(self) -> None:
        """Start it, or let it go on when it is paused, and wait until it is ready."""
        paused = ((self.engine.container(self.name) or {}).get("State") or {}).get("Paused")
        with self.engine.doing(f"start the container {self.name}"):
            if paused:
                self.engine.api.unpause(self.name)
            else:
                self.engine.api.start(self.name)
        self.wait()

    def stop(self) -> None:
        with self.engine.doing(f"stop the container {self.name}"):
            self.engine.api.stop(self.name, timeout=self.stop_timeout)

    def restart(self) -> None:
        """Stop and start it; when it does not get ready, undo and start it as it was."""
        try:
            self._restart()
            self.wait()
        except (ContainerError, EngineError) as exc:
            self.undo()
            self._restart()
            raise type(exc)(f"{exc}\nIt runs with its former configuration again.") from exc

    def reload(self) -> None:
        """Let the process read its configuration again (SIGHUP); when that ends it, undo and start it as it was."""
        try:
            self._hang_up()
            self.wait()
        except (ContainerError, EngineError) as exc:
            self.undo()
            self._restart()
            raise type(exc)(f"{exc}\nIt runs with its former configuration again.") from exc

    def update(self, wanted: Json) -> None:
        """Change what the engine can change in a running container: restart policy and limits."""
        host = wanted["HostConfig"]
        limits = {"mem_limit": host["Memory"], "memswap_limit": 2 * host["Memory"]} if host.get("Memory") else {}
        if host.get("CpuQuota"):
            limits.update(cpu_period=host["CpuPeriod"], cpu_quota=host["CpuQuota"])
        with self.engine.doing(f"update the container {self.name}"):
            self.engine.api.update_container(self.name, restart_policy=host.get("RestartPolicy") or {"Name": "no"}, **limits)

    def remove(self, name: str | None = None) -> None:
        """Take the container away, running or not; its named volumes stay."""
        name = name or self.name
        if self.engine.container(name):
            with self.engine.doing(f"remove the container {name}"):
                self.engine.api.remove_container(name, force=True, v=True)

    def recreate(self, wanted: Json, start: bool | None = None) -> None:
        """Replace the container. The old one is kept aside until the new one is ready, and comes back when it is not.

        `start` says whether the new one shall run; None means that it does when the old one did.
        """
        was_running = self._running(self.name)
        self.stop()
        self._rename(self.name, self.name + ASIDE)
        try:
            self.create(wanted)
            if was_running if start is None else start:
                self.start()
        except BaseException as exc:
            self._put_back(was_running)
            if isinstance(exc, (ContainerError, EngineError)):
                raise type(exc)(f"{exc}\nThe container that was there before has been put back.") from exc
            raise
        self.remove(self.name + ASIDE)

    def remove_all(self) -> None:
        """Take the container away, and what an interrupted replacement left."""
        self.remove()
        self.remove(self.name + ASIDE)

    def recover_unfinished(self, check_mode: bool) -> Plan:
        """End a replacement that was interrupted: a running successor stays, else the old container comes back.

        In check mode nothing is done about it, but the engine's reads show what then would be there.
        """
        aside = self.name + ASIDE
        if self.engine.container(aside) is None:
            return Plan()
        forward = self._running(self.name)
        if check_mode:
            self.engine.shown.update({aside: None} if forward else {aside: None, self.name: aside})
        elif forward:
            self.remove(aside)
        else:
            self._put_back(was_running=False)
        return Plan((Difference(f"container {aside}", "left by an interrupted run", None if forward else f"{self.name} again", RECOVER),))

    def wait(self) -> None:
        """Wait until the container is ready; fail at once when it ends or turns unhealthy."""
        deadline = time.monotonic() + self.ready_timeout
        restarts: int | None = None
        while True:
            live = self.engine.container(self.name)
            restarts = (live or {}).get("RestartCount", 0) if restarts is None else restarts
            trouble = _trouble(live, restarts)
            if trouble:
                raise ContainerError(f"The container {self.name} {trouble}. {self._last_words()}")
            reason = self.ready(t.cast(Json, live))
            if reason is None:
                return
            if time.monotonic() > deadline:
                raise ContainerError(f"The container {self.name} runs but was not ready within {self.ready_timeout:g} s: {reason}. {self._last_words()}")
            time.sleep(POLL)

    def _hang_up(self) -> None:
        """Send SIGHUP from within the container.

        A container that was sent any signal by the engine counts as stopped by hand: the engine then starts it neither when it ends
        nor when its host comes up again.
        """
        with self.engine.doing(f"send SIGHUP in the container {self.name}"):
            command = self.engine.api.exec_create(self.name, ["sh", "-c", "kill -HUP 1"])
            output = self.engine.api.exec_start(command)
            code = self.engine.api.exec_inspect(command)["ExitCode"]
        if code:
            raise ContainerError(f"SIGHUP could not be sent in the container {self.name}: {output.decode(errors='replace').strip()} (exit code {code}).")

    def _put_back(self, was_running: bool) -> None:
        self.remove()
        self._rename(self.name + ASIDE, self.name)
        self.undo()
        if was_running:
            with self.engine.doing(f"start the container {self.name} again"):
                self.engine.api.start(self.name)

    def _restart(self) -> None:
        with self.engine.doing(f"restart the container {self.name}"):
            self.engine.api.restart(self.name, timeout=self.stop_timeout)

    def _rename(self, old: str, new: str) -> None:
        with self.engine.doing(f"rename the container {old} to {new}"):
            self.engine.api.rename(old, new)

    def _running(self, name: str) -> bool:
        return bool(((self.engine.container(name) or {}).get("State") or {}).get("Running"))

    def _last_words(self) -> str:
        try:
            lines = self.engine.logs(self.name)
        except EngineError as exc:
            return str(exc)
        return f"Its last log lines:\n{lines}" if lines else "It logged nothing."


def _trouble(live: Json | None, restarts: int) -> str | None:
    if live is None:
        return "is gone"
    state = live["State"]
    if state.get("OOMKilled"):
        return "was killed because it used more memory than it may"
    if state.get("Restarting") or live.get("RestartCount", 0) > restarts or state["Status"] in ("exited", "dead"):
        return f"ended with exit code {state.get('ExitCode')}"
    if (state.get("Health") or {}).get("Status") == "unhealthy":
        return "is unhealthy"
    return None
