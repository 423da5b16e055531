# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Checks and reloads: argument lists, without a shell, with an end."""

from __future__ import annotations

import os
import subprocess
import typing as t

from ..text import printable
from .errors import RenderError

_SECRET = ("CONSUL_HTTP_TOKEN",)


def run(what: str, words: t.Sequence[str], timeout: float) -> None:
    """Raises ``RenderError`` with what the command said."""
    environment = {name: value for name, value in os.environ.items() if name not in _SECRET}
    try:
        done = subprocess.run(
            list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise RenderError(f"{what} took longer than {timeout:g} s: {words[0]}") from None
    except (OSError, ValueError) as error:
        raise RenderError(f"{what} cannot be run: {error}") from None
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        raise RenderError(f"{what} failed ({words[0]} returned {done.returncode}): {printable(' | '.join(lines[-3:]), 500)}")
