# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""``consul-discovery render``."""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import signal
import sys

from ..client import Client
from ..environment import from_environment
from . import config
from .renderer import Renderer
from .target import Target
from .text import Source


def render(given: argparse.Namespace) -> int:
    logging.getLogger("consul_discovery.render").setLevel(logging.INFO)
    found = config.read(pathlib.Path(given.config))
    if given.judge:
        judge(found)
        return 0
    inherited = from_environment(os.environ)
    if "token_file" in found.agent:
        inherited.pop("token", None)
    with Client(**{**inherited, **found.agent}) as consul:  # type: ignore[arg-type]
        renderer = Renderer(found, consul)
        signal.signal(signal.SIGTERM, lambda *_unused: renderer.stop())
        if given.dry_run:
            sys.stdout.write(renderer.differences(given.timeout))
            sys.stdout.flush()
            return 0
        if given.once:
            return 0 if renderer.once(given.timeout) else 1
        renderer.run()
    return 0


def judge(found: config.Config) -> None:
    """Raises ``ConfigurationError`` for what a start would refuse."""
    for template in found.templates:
        Source(template.source)
        Target(template)
