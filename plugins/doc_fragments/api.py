# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation that every module which asks one agent's HTTP API shares."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the agent is, and with which rights it is asked."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - URL of the HTTP API of an agent, as it is reached from where the module runs, like C(https://10.0.0.11:8501).
    type: str
    default: http://127.0.0.1:8500
  token:
    description: ACL token, sent as a header. It is in no argument, environment or log.
    type: str
  ca_cert:
    description: File with the certificates of the authorities to trust, on the host where the module runs.
    type: path
  timeout:
    description:
      - Seconds that one answer may take. Consul needs 7 to say that there is no leader.
    type: float
    default: 30
requirements:
  - python-consul2 or py-consul, not both
attributes:
  action_group:
    description: Use C(group/discovery.consul.api) in C(module_defaults) to set options for this module.
    support: full
    membership:
      - discovery.consul.api
"""
