# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Register every container's ports in a service registry, and keep them registered.

The way of a container, one file each: ``engine`` (events and lists) -> ``mapping`` (what should be registered, a pure
function) -> ``differences`` (against what is registered) -> ``registry`` (where it is written).
``pipeline`` puts them together.
"""

VERSION = "0.1.0"
