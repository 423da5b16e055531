# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writers, readers and a health check on four nodes while something happens to them, and what came of it."""
