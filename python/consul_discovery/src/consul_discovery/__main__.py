# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""``python -m consul_discovery``."""

import sys

from .cli import main

sys.exit(main())
