# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""A file that is exchanged as a whole, checked, and put back when that fails.

While a change is under way, what was there before lies beside the target. A run that was ended in between leaves it there, and
the next one takes the change up: it checks and reloads even when the file says already what it should.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pathlib
import pwd
import tempfile
import typing as t

from ..errors import ConfigurationError
from . import command
from .config import Template
from .errors import RenderError


class Target:
    def __init__(self, template: Template) -> None:
        self._template = template
        # A link stays one: what it leads to is exchanged.
        self._path = pathlib.Path(os.path.realpath(template.target))
        self._before = self._path.with_name(f".{self._path.name}.before")
        self._absent = self._path.with_name(f".{self._path.name}.absent")
        self._uid, self._gid = _user(template.owner), _group(template.group)

    def content(self) -> t.Optional[bytes]:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def needs(self, wanted: bytes) -> bool:
        return self.content() != wanted or self._interrupted()

    def exchange(self, wanted: bytes) -> None:
        """Write, check and reload. Raises ``RenderError`` when the old file is back."""
        try:
            self._exchange(wanted)
        except OSError as error:
            raise RenderError(f"{self._path} cannot be written: {error}") from None

    def _exchange(self, wanted: bytes) -> None:
        template = self._template
        on_candidate = any("%s" in word for word in template.check)
        candidate = self._candidate(wanted)
        try:
            if on_candidate:
                command.run("the check", [word.replace("%s", str(candidate)) for word in template.check], template.timeout)
            self._remember()
            os.replace(candidate, self._path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                candidate.unlink()
            raise
        self._sync()
        try:
            if template.check and not on_candidate:
                command.run("the check", template.check, template.timeout)
        except RenderError:
            self._put_back()
            raise
        try:
            if template.reload:
                command.run("the reload", template.reload, template.timeout)
        except RenderError:
            self._put_back()
            # The program may have read the new file before it failed.
            with contextlib.suppress(RenderError):
                command.run("the reload", template.reload, template.timeout)
            raise
        self._forget()

    def _candidate(self, wanted: bytes) -> pathlib.Path:
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with open(descriptor, "wb") as file:
                os.fchmod(file.fileno(), self._template.mode)
                if self._uid != -1 or self._gid != -1:
                    os.fchown(file.fileno(), self._uid, self._gid)
                file.write(wanted)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            os.unlink(name)
            raise
        return pathlib.Path(name)

    def _interrupted(self) -> bool:
        return self._before.exists() or self._absent.exists()

    def _remember(self) -> None:
        """Keep what is there, unless an interrupted run did: what it had put in place was never proven."""
        if self._interrupted():
            return
        try:
            os.link(self._path, self._before)
        except FileNotFoundError:
            self._absent.touch()
        self._sync()

    def _put_back(self) -> None:
        if self._before.exists():
            os.replace(self._before, self._path)
        elif self._absent.exists():
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            self._absent.unlink()
        self._sync()

    def _forget(self) -> None:
        for mark in (self._before, self._absent):
            with contextlib.suppress(FileNotFoundError):
                mark.unlink()

    def _sync(self) -> None:
        """Have the folder's entries survive a loss of power, in the order in which they were made."""
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _user(name: t.Optional[str]) -> int:
    try:
        return pwd.getpwnam(name).pw_uid if name else -1
    except KeyError:
        raise ConfigurationError(f"There is no user {name}") from None


def _group(name: t.Optional[str]) -> int:
    try:
        return grp.getgrnam(name).gr_gid if name else -1
    except KeyError:
        raise ConfigurationError(f"There is no group {name}") from None
