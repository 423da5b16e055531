# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that the modules of locks share."""

from __future__ import annotations


class ModuleDocFragment:
    """Which play asks for a lock, and which one is known to be dead. The action plugins of the locks say both."""

    DOCUMENTATION = r"""
options:
  holder:
    description: The play. The action plugin fills it in.
    type: dict
    suboptions: &process
      user:
        description: Who started it.
        type: str
        required: true
      controller:
        description: Name of the machine it runs on.
        type: str
        required: true
      pid:
        description: Its process.
        type: int
        required: true
      started:
        description: When that process started, in ticks of its machine. Another process that got the same number later has another one.
        type: str
      kernel:
        description: The running kernel of that machine and its name space of processes. Machines may share a name, but not this.
        type: str
  dead:
    description: A play that is known to run no more. The action plugin fills it in. Its lock is taken from it whatever its age.
    type: dict
    suboptions: *process
"""
