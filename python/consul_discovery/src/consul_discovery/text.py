# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Text from elsewhere, made fit for one line of a log or a terminal."""

from __future__ import annotations


def printable(text: str, at_most: int = 300) -> str:
    """Escape what could look like another line, or command a terminal."""
    clean = "".join(character if character.isprintable() else character.encode("unicode_escape").decode() for character in text[:at_most])
    return clean + ("…" if len(text) > at_most else "")
