# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m registrator.probe``: the image's HEALTHCHECK, which asks the container's Registrator for its ``/health``."""

from __future__ import annotations

import pathlib
import sys
import typing as t
import urllib.error
import urllib.request

from .flags import parse
from .options import FLAGS

COMMAND_LINE = pathlib.Path("/proc/1/cmdline")
ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
TIMEOUT_S = 4.0


def listen_address(words: t.Sequence[str]) -> str:
    """Return where the Registrator of this command line answers; an empty string when it does not, or is none."""
    program = ["-m", "registrator"]
    begin = next((i + 2 for i in range(len(words)) if list(words[i : i + 2]) == program), None)
    if begin is None:
        return ""
    listen = str(parse(FLAGS, words[begin:])[0]["listen"])
    address, _colon, port = listen.rpartition(":")
    return f"{ANY_ADDRESS.get(address, address)}:{port}" if listen else ""


def trouble(words: t.Sequence[str]) -> str:
    """Return what is wrong with it; an empty string when it is well, or nobody can tell since it answers nowhere."""
    address = listen_address(words)
    try:
        if address:
            # A proxy from the environment is not for the container itself.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(f"http://{address}/health", timeout=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode().strip()
    except OSError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    # Whoever runs the image may put an init in front: the command line stands behind its words.
    sys.exit(trouble(COMMAND_LINE.read_text().rstrip("\0").split("\0")) or 0)
