# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options with which plugins and modules read from Consul on their own, without a Python library for it."""

from __future__ import annotations


class ModuleDocFragment:
    """Which agent is asked, with which rights, about which datacenters."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - The HTTP API of an agent, like C(https://10.0.0.11:8501), C(127.0.0.1:8500) or C(unix:///run/consul.sock).
      - The environment variable E(CONSUL_HTTP_ADDR) is used when the option is not given. A proxy of the environment is not.
    type: str
    default: http://127.0.0.1:8500
  token:
    description:
      - ACL token, sent as a header.
      - The environment variable E(CONSUL_HTTP_TOKEN) is used when neither this nor O(token_file) is given.
    type: str
  token_file:
    description:
      - File that holds the ACL token. It wins over O(token), as it does with Consul's own programs.
      - The environment variable E(CONSUL_HTTP_TOKEN_FILE) is used when neither this nor O(token) is given.
    type: str
  ca_path:
    description:
      - File with the certificates of the authorities to trust.
      - The environment variable E(CONSUL_CACERT) is used when the option is not given.
    type: str
  datacenters:
    description:
      - Datacenters to ask, in this order. The agent's own when it is empty.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds that one answer may take. Consul needs 7 to say that there is no leader.
    type: float
    default: 30
"""

    # What plugins on the controller have besides, and modules must not have in their documentation.
    PLUGIN = r"""
options:
  url:
    env:
      - name: CONSUL_HTTP_ADDR
  ca_path:
    env:
      - name: CONSUL_CACERT
"""
