# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ACL system of a cluster, as Consul 1.8.7 answers: what `put` and `delete` tell it is what `get` shows afterwards."""

from __future__ import annotations

import json
import typing as t
import uuid

from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer

Json = t.Dict[str, t.Any]

MANAGEMENT = "11111111-1111-1111-1111-111111111111"
LEGACY = Answer(url="http://127.0.0.1:8500/v1/acl/policies", status=500, data="The ACL system is currently in legacy mode.")


class Acls:
    """`told` has each call that changes something. `trouble` has answers that come before the true ones."""

    def __init__(self) -> None:
        self.token = MANAGEMENT
        self.objects: dict[str, dict[str, Json]] = {"policy": {}, "role": {}, "token": {}}
        self.told: list[str] = []
        self.trouble: list[Answer] = []
        self._add("policy", {"Name": "global-management", "Description": "Builtin", "Rules": "", "Datacenters": None})
        self.management = self._add("token", {"SecretID": MANAGEMENT, "Description": "Master Token", "Policies": [{"Name": "global-management"}]})

    def with_token(self, token: str) -> Acls:
        other = object.__new__(Acls)
        other.__dict__.update(self.__dict__, token=token)
        return other

    def get(self, path: str, **params: str) -> Answer:
        if self.trouble:
            return self.trouble.pop(0)
        if path == "/v1/status/leader":
            return Answer(status=200, data="127.0.0.1:8300")
        kind, _slash, ident = path.removeprefix("/v1/acl/").partition("/")
        if ident == "self":
            mine = [one for one in self.objects["token"].values() if one["SecretID"] == self.token]
            return Answer(status=200, data=mine[0]) if mine else Answer(status=403, data="ACL not found")
        if ident:
            return Answer(status=200, data=self.objects[kind][ident])
        singular = {"policies": "policy", "roles": "role", "tokens": "token"}[kind]
        hidden = ("Rules", "SecretID")
        return Answer(status=200, data=[{key: value for key, value in one.items() if key not in hidden} for one in self.objects[singular].values()])

    def put(self, path: str, data: str, **params: str) -> Answer:
        kind, _slash, ident = path.removeprefix("/v1/acl/").partition("/")
        told = json.loads(data)
        self.told.append(f"{'update' if ident else 'create'} {kind} {told.get('Name') or told['Description']}")
        if ident:
            self.objects[kind][ident].update(told)
        else:
            self._add(kind, told)
        return Answer(status=200, data={})

    def delete(self, path: str, data: str = "", **params: str) -> Answer:
        kind, ident = path.removeprefix("/v1/acl/").split("/")
        self.told.append(f"delete {kind} {self.objects[kind].get(ident, {}).get('Name') or ident}")
        return Answer(status=200, data=True) if self.objects[kind].pop(ident, None) else Answer(status=500, data="Cannot find token to delete: not found")

    def _add(self, kind: str, data: Json) -> str:
        key = "AccessorID" if kind == "token" else "ID"
        ident = data.get(key) or str(uuid.uuid4())
        self.objects[kind][ident] = {**data, key: ident}
        return ident
