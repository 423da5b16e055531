# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Registrator as a process, what it costs, and waiting for what it does."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import typing as t

HERE = pathlib.Path(__file__).resolve().parent
BUILD_CONTEXT = HERE.parents[1] / "roles/registrator/files/registrator"
sys.path.insert(0, str(HERE.parent / "integration/registrator"))

from consul_agent import ConsulAgent  # noqa: E402 - its folder is known only now

LIMIT_S, POLL_S = 180.0, 0.002


class Process:
    """A Registrator. Outside of the image, it gets the image's setting for memory."""

    def __init__(self, command: t.Sequence[str], engine: str, uri: str, log: t.IO[str], settle_s: float = 3.0) -> None:
        environment = {"MALLOC_ARENA_MAX": "2", **os.environ, "PYTHONPATH": str(BUILD_CONTEXT), "DOCKER_HOST": engine}
        self.process = subprocess.Popen([*command, "-ip", "127.0.0.1", uri], env=environment, stderr=log)
        time.sleep(settle_s)
        if self.process.poll() is not None:
            raise SystemExit(f"it ended at once, with exit code {self.process.returncode}")

    def rss_mib(self) -> float:
        with open(f"/proc/{self.process.pid}/status") as file:
            return round(next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024, 1)

    def cpu_s(self) -> float:
        return cpu_s(self.process.pid)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def cpu_s(process: int) -> float:
    """Return the processor time that a process has had."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def names(agent: ConsulAgent) -> t.Set[str]:
    return {service["Service"] for service in agent.services().values()}


def seconds_until(holds: t.Callable[[], bool], poll_s: float = POLL_S) -> t.Optional[float]:
    """Wait until something holds; return the wall-clock time then, or None when it never does."""
    end = time.time() + LIMIT_S
    while time.time() < end:
        if holds():
            return time.time()
        time.sleep(poll_s)
    return None
