# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Two services, and an application that finds and calls them."""
