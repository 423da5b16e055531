# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_path
short_description: The releases of Consul on the way from one to another
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Lists the releases that a cluster goes to, one after the other. Consul is upgraded over two lines of releases at a time, like from 1.20 to 1.22
    or from 1.22 to 2.1.
positional: wanted
options:
  _input:
    description: The release that runs, like V(1.8.7).
    type: str
    required: true
  wanted:
    description: The release to come to.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the way
  ansible.builtin.debug:
    msg: "{{ '1.8.7' | discovery.consul.upgrade_path('1.14.11') }}" # 1.10.12, 1.12.9, 1.14.11
"""

RETURN = r"""
_value:
  description: Releases, in order, the last of which is the one to come to.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul import versions


def upgrade_path(runs: str, wanted: str) -> list[str]:
    """The releases to go to."""
    return [versions.show(one) for one in versions.path(versions.parse(str(runs)), versions.parse(str(wanted)))]


def upgrade_words(runs: list[str], wanted: str, image: str) -> str:
    """What goes to what, and over which releases."""
    found = sorted({versions.parse(str(one)) for one in runs if one})
    held = f"Servers run Consul {' and '.join(versions.show(one) for one in found)}. " if found else ""
    if not wanted:
        return f"{held}Which release {image} has is not known before it is on the host."
    goal = versions.parse(str(wanted))
    if not found or found == [goal]:
        return f"{held}The image {image} has {wanted}, and nothing has to be gone over."
    return f"{held}The image {image} has {wanted}. The way is {' - '.join(versions.show(one) for one in [found[0], *versions.path(found[0], goal)])}."


class FilterModule:
    """The filters for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"upgrade_path": upgrade_path, "upgrade_words": upgrade_words}
