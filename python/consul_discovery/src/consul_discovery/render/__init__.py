# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Files for programs that know nothing of Consul. Needs the extra ``render``: ``pip install consul_discovery[render]``."""
