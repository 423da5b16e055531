# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that every module which converges a container shares."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of the container and of the engine."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(started) - the container exists as described and runs.
      - V(present) - it exists as described; one that is stopped stays so.
      - V(stopped) - it exists as described and does not run.
      - V(absent) - it is gone, and so is its configuration folder.
    type: str
    choices: [started, present, stopped, absent]
    default: started
  container_name:
    description: Name of the container.
    type: str
  image:
    description:
      - Image to run. It is pulled when the engine holds neither it nor O(image_fallback).
    type: str
  image_fallback:
    description:
      - Image to run when the engine does not hold O(image), but holds this one. No registry is asked then.
    type: str
  allow_disruption:
    description:
      - Whether a container that runs may be stopped, restarted or replaced now.
      - When V(false), a plan that would do so is returned with RV(pending=true), and that node is left as it is.
    type: bool
    default: true
  ready_timeout:
    description: How many seconds a start may take until the program in the container answers.
    type: float
    default: 60
  stop_timeout:
    description: How many seconds the program may take to end before it is killed.
    type: int
    default: 30
  environment:
    description:
      - Environment variables. They can be read with C(docker inspect), so nothing secret belongs here.
    type: dict
    default: {}
  labels:
    description: Labels of the container, besides those of the collection.
    type: dict
    default: {}
  restart_policy:
    description: When the engine starts the container again by itself. Can be changed without a restart.
    type: str
    choices: ["no", on-failure, always, unless-stopped]
    default: unless-stopped
  memory:
    description: Most memory that the container may use, like V(512m). Can be changed without a restart, but not taken away.
    type: str
  cpus:
    description: How many processors the container may use, like V(1.5). Can be changed without a restart, but not taken away.
    type: float
  nofile:
    description: Limit of open files. The engine's own when it is not given.
    type: int
  log_driver:
    description:
      - The engine's logging driver for this container.
      - When it is not given, V(json-file) with three files of 10 MiB each, unless the engine has another default driver or a limit in its
        C(daemon.json).
    type: str
  log_options:
    description: Options of O(log_driver).
    type: dict
    default: {}
  hardened:
    description:
      - Run without any capability, without the way to gain privileges and with a read-only root file system.
    type: bool
    default: true
  docker_host:
    description:
      - URL of the Docker engine, C($DOCKER_HOST) or V(unix:///var/run/docker.sock) when it is not given.
      - TLS for V(tcp://) URLs comes from C($DOCKER_TLS_VERIFY) and C($DOCKER_CERT_PATH).
    type: str
  engine_timeout:
    description: How many seconds one call to the engine may take.
    type: float
    default: 60
requirements:
  - docker (the Docker SDK for Python) >= 7.1.0
attributes:
  action_group:
    description: Use C(group/discovery.consul.container) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - discovery.consul.container
  check_mode:
    description: Can run in check mode and return the changes that it would make.
    support: full
  diff_mode:
    description: Returns what has changed or would change.
    support: full
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
    support: full
"""
