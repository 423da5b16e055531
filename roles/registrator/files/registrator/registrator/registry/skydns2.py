# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services as SkyDNS wants them in etcd, which CoreDNS reads too.

``/skydns/<labels of the domain, the last first>/<name>/<id>`` holds ``{"host": ..., "port": ...}``.
"""

from __future__ import annotations

import json

from ..service import Service
from . import BadAddress, Context, shown
from .etcd_store import store
from .keyvalue import KeyValue


def adapter(context: Context) -> KeyValue:
    """Return the registry that the URI names."""
    labels = [label for label in context.uri.path.strip("/").split(".") if label]
    if not labels:
        raise BadAddress(f"bad adapter uri: {shown(context.options.registry)}: a domain is missing, as in skydns2://127.0.0.1:2379/skydns.local")
    prefix = "/".join(["/skydns", *reversed(labels)])
    return KeyValue(store(context), prefix, _value, context.options.ttl)


def _value(service: Service) -> str:
    return json.dumps({"host": service.address, "port": service.port}, separators=(",", ":"))
