# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""A text out of a template and lists of instances."""

from __future__ import annotations

import pathlib
import re
import typing as t

from ..errors import ConfigurationError
from ..instance import Instance
from .errors import RenderError

try:
    import jinja2
    import jinja2.sandbox
except ImportError:
    raise ConfigurationError("Rendering needs Jinja2: pip install consul_discovery[render]") from None

_WORD = re.compile(r"[A-Za-z0-9._:\[\]/-]+\Z")


class Source:
    """A template, read once and compiled. It runs in a sandbox, without access to files or attributes that are not data."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            finalize=_one_line,
        )
        environment.filters["word"] = _word
        environment.tests["word"] = _is_word
        try:
            self._template = environment.from_string(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"The template {path} cannot be read: {error}") from None
        except jinja2.TemplateSyntaxError as error:
            raise ConfigurationError(f"The template {path} is wrong in line {error.lineno}: {error.message}") from None

    def render(self, lists: t.Mapping[str, t.Tuple[Instance, ...]]) -> bytes:
        try:
            return self._template.render(lists).encode()
        except Exception as error:
            # Whatever a template does wrong is the template's.
            raise RenderError(f"{self._path} cannot be rendered: {type(error).__name__}: {error}") from None


def _one_line(value: t.Any) -> t.Any:
    """Refuse what could become a line of its own: names, tags and metadata are chosen by whoever registers."""
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"{value[:60]!r} holds control characters")
    return value


def _is_word(value: t.Any) -> bool:
    return bool(_WORD.match(str(value)))


def _word(value: t.Any) -> str:
    """Let pass what has no meaning of its own in any configuration file that we know of."""
    if not _is_word(value):
        raise ValueError(f"{str(value)[:60]!r} is no plain word")
    return str(value)
