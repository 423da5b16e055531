# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of a playbook that are killed, each one some tasks further on than the one before, until one gets through."""

from __future__ import annotations

import hashlib
import pathlib
import re
import signal
import typing as t

from . import site

STEP = 11
CALLBACK = {"ANSIBLE_CALLBACK_PLUGINS": str(pathlib.Path(__file__).parent / "callback"), "ANSIBLE_CALLBACKS_ENABLED": "die_at_task"}


def run_to_the_end(*arguments: str) -> None:
    """In the end nothing is left to do, and no secret that was once made is another one."""
    secrets: dict[str, str] = {}

    def kept() -> None:
        nonlocal secrets
        secrets = _secrets_kept(secrets)

    _kill_until_one_gets_through("site.yml", *arguments, after_each=kept)
    _nothing_is_left(*arguments)


def rotate_to_the_end() -> None:
    """In the end nothing is left to do, and no former token is good for anything."""
    former = {path.name: path.read_text().strip() for path in site.SECRETS.iterdir() if path.name != "management"}
    _kill_until_one_gets_through("playbooks/rotate_tokens.yml")
    _nothing_is_left("--tags", "consul,registrator,health")
    still = [name for name, secret in former.items() if site.knows(secret)]
    if still or not former:
        raise RuntimeError(f"former tokens that are still valid: {still} of {sorted(former)}")


def _kill_until_one_gets_through(playbook: str, *arguments: str, after_each: t.Callable[[], None] = lambda: None) -> None:
    killed = 0
    while True:
        process = site.start(playbook, *arguments, DIE_AT_TASK=str((killed + 1) * STEP), **CALLBACK)
        output = process.communicate()[0]
        after_each()
        if process.returncode == 0:
            break
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"after {killed} runs that were killed: {output[-6000:]}")
        killed += 1
    if killed < 3:
        raise RuntimeError(f"killed only {killed} times")
    print(f"killed {killed} times", flush=True)


def _nothing_is_left(*arguments: str) -> None:
    again = site.play("site.yml", *arguments)
    if set(re.findall(r"changed=(\d+)", again)) != {"0"}:
        raise RuntimeError(f"the next run still changes something: {again[-3000:]}")


def _secrets_kept(before: dict[str, str]) -> dict[str, str]:
    """Digests of the files in the secrets folder."""
    now = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in site.SECRETS.parent.rglob("*") if path.is_file()}
    lost = [path for path, digest in before.items() if now.get(path) != digest]
    if lost:
        raise RuntimeError(f"made anew or lost: {lost}")
    return now
