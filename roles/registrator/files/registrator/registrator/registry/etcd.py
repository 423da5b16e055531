# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services as keys of etcd: ``<prefix>/<name>/<id>`` holds ``<address>:<port>``."""

from __future__ import annotations

from . import Context
from .etcd_store import store
from .keyvalue import KeyValue, address_and_port


def adapter(context: Context) -> KeyValue:
    """Return the registry that the URI names."""
    # The v2 API begins every key with a slash, and so did the original: v3 keys are the same.
    prefix = "/" + context.uri.path.strip("/")
    return KeyValue(store(context), prefix.rstrip("/"), address_and_port, context.options.ttl)
