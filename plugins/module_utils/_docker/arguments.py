# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The arguments that every module which converges a container has; documented in the fragment `container`."""

from __future__ import annotations

CONTAINER_ARGUMENTS = {
    "allow_disruption": {"type": "bool", "default": True},
    "container_name": {"type": "str"},
    "cpus": {"type": "float"},
    "docker_host": {"type": "str"},
    "engine_timeout": {"type": "float", "default": 60},
    "environment": {"type": "dict", "default": {}},
    "hardened": {"type": "bool", "default": True},
    "image": {"type": "str"},
    "image_fallback": {"type": "str"},
    "labels": {"type": "dict", "default": {}},
    "log_driver": {"type": "str"},
    "log_options": {"type": "dict", "default": {}},
    "memory": {"type": "str"},
    "nofile": {"type": "int"},
    "ready_timeout": {"type": "float", "default": 60},
    "restart_policy": {"type": "str", "choices": ["no", "on-failure", "always", "unless-stopped"], "default": "unless-stopped"},
    "state": {"type": "str", "choices": ["started", "present", "stopped", "absent"], "default": "started"},
    "stop_timeout": {"type": "int", "default": 30},
}
