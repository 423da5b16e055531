# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What may be declared of rights. The module consul_acl documents it; the role judges the inventory by it before anything exists."""

from __future__ import annotations

import typing as t

Json = t.Dict[str, t.Any]

NAMES: Json = {"type": "list", "elements": "str", "default": []}
COMMON: Json = {
    "description": {"type": "str", "default": ""},
    "name": {"type": "str", "required": True},
    "owner": {"type": "str"},
    "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
}
LINKS: Json = {
    **COMMON,
    "policies": NAMES,
    "service_identities": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"service_name": {"type": "str", "required": True}, "datacenters": NAMES},
    },
    "node_identities": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"node_name": {"type": "str", "required": True}, "datacenter": {"type": "str", "required": True}},
    },
}
ACL_ARGUMENTS: Json = {
    "owner": {"type": "str", "required": True},
    "policies": {"type": "list", "elements": "dict", "default": [], "options": {**COMMON, "datacenters": NAMES, "rules": {"type": "str", "default": ""}}},
    "purge": {"type": "bool", "default": False},
    "purge_superseded": {"type": "bool", "default": False},
    "roles": {"type": "list", "elements": "dict", "default": [], "options": LINKS},
    "tokens": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "no_log": False,
        "options": {**LINKS, "roles": NAMES, "secret": {"type": "str", "no_log": True}},
    },
    "wait": {"type": "float", "default": 60},
}
