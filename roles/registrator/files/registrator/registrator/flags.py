# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a command line the way Go's ``flag`` package does, so that command lines of the original keep working.

``-x v``, ``-x=v``, ``--x v`` and ``--x=v`` are the same; a boolean is ``-x`` or ``-x=true`` (never ``-x true``); the
first word that is not a flag ends the flags.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Value = t.Union[str, int, bool]

TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("0", "f", "F", "false", "FALSE", "False")


class UsageError(Exception):
    """The command line cannot be read. The message is one line for the user."""


class HelpRequested(Exception):
    """``-h`` or ``-help`` was given."""


@dataclass(frozen=True)
class Flag:
    """One flag; the type of ``default`` is the type of its value."""

    name: str
    default: Value
    help: str


def parse(flags: t.Sequence[Flag], arguments: t.Sequence[str]) -> t.Tuple[t.Dict[str, Value], t.List[str]]:
    """Return the value of every flag by name, and the words after the flags. Raises UsageError or HelpRequested."""
    known = {flag.name: flag for flag in flags}
    values: t.Dict[str, Value] = {flag.name: flag.default for flag in flags}
    words = list(arguments)
    while words and len(words[0]) > 1 and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        name, given, text = _split(word)
        if name not in known:
            if name in ("h", "help"):
                raise HelpRequested
            raise UsageError(f"flag provided but not defined: -{name}")
        flag = known[name]
        if not given and isinstance(flag.default, bool):
            text = "true"
        elif not given:
            if not words:
                raise UsageError(f"flag needs an argument: -{name}")
            text = words.pop(0)
        values[name] = _value(flag, text)
    return values, words


def usage(flags: t.Sequence[Flag], program: str) -> str:
    """Return the help text."""
    lines = [f"Usage of {program}:", f"  {program} [options] <registry URI>", ""]
    for flag in sorted(flags, key=lambda flag: flag.name):
        kind = {bool: "", int: " int", str: " string"}[type(flag.default)]
        default = f" (default {flag.default!r})".replace("'", '"') if flag.default else ""
        lines += [f"  -{flag.name}{kind}", f"    \t{flag.help}{default}"]
    return "\n".join(lines)


def _split(word: str) -> t.Tuple[str, bool, str]:
    """Return name, whether a value was given with ``=``, and that value."""
    name = word[2:] if word.startswith("--") else word[1:]
    if not name or name[0] in "-=":
        raise UsageError(f"bad flag syntax: {word}")
    name, equals, text = name.partition("=")
    return name, bool(equals), text


def _value(flag: Flag, text: str) -> Value:
    if isinstance(flag.default, bool):
        if text not in TRUE + FALSE:
            raise UsageError(f'invalid boolean value "{text}" for -{flag.name}: parse error')
        return text in TRUE
    if isinstance(flag.default, int):
        try:
            return int(text, 10)
        except ValueError:
            raise UsageError(f'invalid value "{text}" for flag -{flag.name}: parse error') from None
    return text
