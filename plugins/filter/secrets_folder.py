# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secrets_folder
short_description: Where the secrets of a datacenter are kept by default
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Gives C(.secrets/DATACENTER) beside the inventory. Its first dot keeps Ansible from reading it as a part of an inventory that is a folder.
  - Gives C(secrets/DATACENTER) beside the playbook instead when only that one is there, since it was the default before release 0.2.0.
  - Gives an empty text when the inventory is no file, like a list of hosts on the command line.
positional: inventory_dir, playbook_dir
options:
  _input:
    description: Name of the datacenter.
    type: str
    required: true
  inventory_dir:
    description: The variable C(inventory_dir).
    type: path
  playbook_dir:
    description: The variable C(playbook_dir).
    type: path
"""

EXAMPLES = r"""
- name: Show where the secrets are
  ansible.builtin.debug:
    msg: "{{ 'dc1' | discovery.consul.secrets_folder(inventory_dir, playbook_dir) }}"
"""

RETURN = r"""
_value:
  description: Path of the folder, or an empty text.
  type: str
"""

import os
import typing as t


def secrets_folder(datacenter: str, inventory_dir: str | None, playbook_dir: str | None = None) -> str:
    """Path of the folder, or an empty text where there is no place for one."""
    # For a list of hosts on the command line Ansible gives the text 'None'.
    folder = os.path.join(inventory_dir, ".secrets", datacenter) if inventory_dir and os.path.isabs(inventory_dir) else ""
    former = os.path.join(playbook_dir or "", "secrets", datacenter)
    return former if playbook_dir and os.path.isdir(former) and not os.path.isdir(folder) else folder


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"secrets_folder": secrets_folder}
