# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The one base of every error that is meant for the operator."""

from __future__ import annotations


class OperatorError(Exception):
    """A sentence that says what failed, with its evidence and what to do. Modules end with it, never with a traceback."""


def without_rights(exc: OSError) -> str:
    """What a module ends with that may not do something on its host, or has no room for it."""
    return f"{exc.filename or 'A file'} cannot be used ({exc.strerror or exc}). Run with become: true, and see that it is there and has room."
