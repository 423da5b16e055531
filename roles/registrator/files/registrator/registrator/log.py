# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines on standard error: as the original writes them, ``2006/01/02 15:04:05 message``, or as JSON objects."""

from __future__ import annotations

import json
import logging
import sys
import threading
import typing as t

LONGEST_LINE = 2000
LINES_PER_SUBJECT = 100


class Log:
    """Where everything that the user may want to read goes. Any thread may use it."""

    def __init__(self, debug: bool = False, style: str = "text") -> None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Json() if style == "json" else logging.Formatter("%(asctime)s %(message)s", "%Y/%m/%d %H:%M:%S"))
        self._logger = logging.Logger("registrator", logging.DEBUG if debug else logging.INFO)
        self._logger.addHandler(handler)

    def info(self, message: str) -> None:
        self._logger.info(one_line(message))

    def debug(self, message: str) -> None:
        self._logger.debug(one_line(message))

    def exception(self, message: str, error: BaseException) -> None:
        """Log an error that nobody foresaw, with where it comes from."""
        self._logger.error(one_line(f"{message}: {error!r}"), exc_info=error)


class Once:
    """Says a line about a subject once, however often it is true, until the subject is forgotten."""

    def __init__(self, log: Log) -> None:
        self._log, self._lock = log, threading.Lock()
        self._said: t.Dict[str, t.Set[int]] = {}

    def info(self, subject: str, line: str) -> None:
        with self._lock:
            said = self._said.setdefault(subject, set())
            if hash(line) in said or len(said) >= LINES_PER_SUBJECT:
                return
            said.add(hash(line))
        self._log.info(line)

    def forget(self, subject: str) -> None:
        with self._lock:
            self._said.pop(subject, None)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def one_line(message: str) -> str:
    """Keep what a container's metadata says from looking like a line of ours, steering a terminal, or filling the log."""
    if len(message) > LONGEST_LINE:
        message = f"{message[:LONGEST_LINE]} ... ({len(message)} characters)"
    return message if message.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in message)
