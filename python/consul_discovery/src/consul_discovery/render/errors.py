# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""What keeps a file from being rendered. The file stays as it is."""

from __future__ import annotations

from ..errors import DiscoveryError


class RenderError(DiscoveryError):
    """Said in one line, with the template or the target that it is about."""
