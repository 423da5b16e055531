# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""The ACL token. It is in no text, repr, URL or argument list."""

from __future__ import annotations

import logging
import pathlib
import typing as t

from .errors import AgentError, ConfigurationError

_log = logging.getLogger("consul_discovery")


class Token:
    """Given once, or in a file that is read again when it changes."""

    def __init__(self, value: t.Optional[str] = None, file: t.Optional[str] = None) -> None:
        if value and file:
            raise ConfigurationError("Give token or token_file, not both.")
        self._value = _judged(value, "The token") if value else ""
        self._file = pathlib.Path(file) if file else None
        self._seen: t.Optional[t.Tuple[int, int, int]] = None
        self._problem = ""

    def read(self) -> str:
        """Return the token, or an empty string. While its file cannot be read, the last one is good enough."""
        if self._file is None:
            return self._value
        try:
            stat = self._file.stat()
            now = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if now != self._seen:
                self._value, self._seen = _judged(self._file.read_text(encoding="utf-8").strip(), f"The token file {self._file}"), now
            self._problem = ""
        except (OSError, ValueError) as error:
            problem = str(error) if isinstance(error, ConfigurationError) else f"The token file {self._file} cannot be read: {_reason(error)}"
            if not self._value:
                raise AgentError(problem) from None
            if problem != self._problem:
                _log.warning("%s; the last token is used on", problem)
            self._problem = problem
        return self._value

    def hide(self, text: str) -> str:
        """Return a text without the token, should whoever answered have repeated it."""
        return text.replace(self._value, "(token)") if self._value else text

    def __repr__(self) -> str:
        return f"Token(file={str(self._file)!r})" if self._file else f"Token({'given' if self._value else 'none'})"


def _judged(value: str, what: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigurationError(f"{what} holds no token: one word of printable ASCII is expected.")
    return value


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
