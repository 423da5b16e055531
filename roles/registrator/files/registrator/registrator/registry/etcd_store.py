# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys in etcd, through the JSON gateway of its v3 API, or through its v2 API where that is asked for or all there is.

In v3 every key of a Registrator hangs on one lease, which is its mark: the upper half of the lease's identifier is made
from the owner's name, the lower half is the time to live in seconds (0 for none: the lease then outlives everybody).
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import typing as t

from ..connection import Security
from ..mark import Owner
from . import Context, RegistryError, RegistryUnreachable
from .http import Http, json_of, quoted
from .keyvalue import Store, Stored

DEFAULT_ADDRESS = "127.0.0.1:2379"
RENEWALS = 4  # of a lease in its time to live
FOR_EVER_S = 9_000_000_000  # the longest that etcd grants
LOWER_HALF = 0xFFFFFFFF
NOT_FOUND = 5  # gRPC's code


def store(context: Context) -> Store:
    """Return the store at the URI's host. Raises RegistryError when its version cannot be asked for."""
    environment = context.environment
    certificate, key = environment.get("ETCDCTL_CERT", ""), environment.get("ETCDCTL_KEY", "")
    authority = environment.get("ETCDCTL_CACERT", "")
    scheme = "https" if authority or certificate else "http"
    security = Security(verify=authority or True, certificate=(certificate, key) if certificate and key else None)
    http = Http(f"{scheme}://{context.uri.netloc.rpartition('@')[2] or DEFAULT_ADDRESS}", security)
    return _Either(http, context.owner, context.options.ttl, environment.get("ETCDCTL_API", ""))


class _Either(Store):
    """The API that the server has, found out by the first ``ping``."""

    def __init__(self, http: Http, owner: Owner, ttl: int, wanted: str) -> None:
        self._http, self._wanted = http, wanted
        self._v2, self._v3 = _V2(http, ttl), _V3(http, owner, ttl)
        self._chosen: Store = self._v2 if wanted == "2" else self._v3

    @property
    def knows_owners(self) -> bool:  # type: ignore[override]
        return self._chosen.knows_owners

    def ping(self) -> str:
        answer = self._http.request("GET", "/version")
        _expect(answer, 200)
        version = str(json_of(answer, dict).get("etcdserver", ""))
        if not self._wanted and version.startswith(("2.", "3.0.", "3.1.", "3.2.", "3.3.")):
            self._chosen = self._v2
        self._chosen.ping()
        return f"etcd: {version}, API {'v2' if self._chosen is self._v2 else 'v3'}"

    def put(self, key: str, value: str) -> None:
        self._chosen.put(key, value)

    def delete(self, key: str) -> None:
        self._chosen.delete(key)

    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        return self._chosen.under(prefix)

    def renew(self, key: str, value: str) -> None:
        self._chosen.renew(key, value)

    def set_ttl(self, seconds: int) -> None:
        self._chosen.set_ttl(seconds)


class _V3(Store):
    def __init__(self, http: Http, owner: Owner, ttl: int) -> None:
        self._http, self._ttl = http, ttl
        self._upper_half = _upper_half(owner.text)
        self._owners = {_upper_half(owner.old): owner.old, self._upper_half: owner.text, 0: ""}
        self._lease = self._upper_half << 32 | ttl
        self._renewed = float("-inf")
        self._lock = threading.Lock()

    def ping(self) -> str:
        self._post("/v3/kv/range", key=_encoded("registrator"), count_only=True)
        return ""

    def put(self, key: str, value: str) -> None:
        pair = {"key": _encoded(key), "value": _encoded(value), "lease": str(self._lease)}
        if self._post("/v3/kv/put", **pair) is None:
            self._grant()
            if self._post("/v3/kv/put", **pair) is None:
                raise RegistryError("etcd: the lease was lost as soon as it was granted")

    def delete(self, key: str) -> None:
        self._post("/v3/kv/deleterange", key=_encoded(key))

    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        end = prefix.encode()[:-1] + bytes([prefix.encode()[-1] + 1])
        answer = self._post("/v3/kv/range", key=_encoded(prefix), range_end=base64.b64encode(end).decode()) or {}
        return {_decoded(found["key"]): self._stored(found) for found in answer.get("kvs", [])}

    def renew(self, key: str, value: str) -> None:
        with self._lock:
            # One lease holds all keys: most of what a round of renewals asks for is done already.
            if time.monotonic() - self._renewed < self._ttl / RENEWALS:
                return
            answer = (self._post("/v3/lease/keepalive", ID=str(self._lease)) or {}).get("result") or {}
            self._renewed = time.monotonic()
        if not answer.get("TTL"):
            self.put(key, value)

    def _grant(self) -> None:
        # Two threads may both find it missing: that it is already there is then as good.
        self._http.request("POST", "/v3/lease/grant", json={"ID": str(self._lease), "TTL": str(self._ttl or FOR_EVER_S)})

    def _stored(self, found: t.Mapping[str, str]) -> Stored:
        lease = int(found.get("lease") or 0)
        owner = self._owners.get(lease >> 32, f"of lease {lease}")
        return Stored(_decoded(found.get("value", "")), owner, lease & LOWER_HALF)

    def _post(self, path: str, **body: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
        """Return the answer; None when what was asked for, such as a lease, is not there."""
        answer = self._http.request("POST", path, json=body)
        if answer.status_code == 404 and _code(answer) == NOT_FOUND:
            return None
        _expect(answer, 200)
        return t.cast("t.Dict[str, t.Any]", json_of(answer, dict))


class _V2(Store):
    """Nothing in v2 says who wrote a key, so an earlier run's are not known."""

    knows_owners = False

    def __init__(self, http: Http, ttl: int) -> None:
        self._http, self._ttl = http, ttl

    def ping(self) -> str:
        _expect(self._http.request("GET", "/v2/keys/"), 200)
        return ""

    def put(self, key: str, value: str) -> None:
        data = {"value": value, **({"ttl": str(self._ttl)} if self._ttl else {})}
        _expect(self._http.request("PUT", self._path(key), data=data), 200, 201)

    def delete(self, key: str) -> None:
        _expect(self._http.request("DELETE", self._path(key)), 200, 404)

    def under(self, prefix: str) -> t.Mapping[str, Stored]:
        answer = self._http.request("GET", self._path(prefix.rstrip("/")), params={"recursive": "true"})
        _expect(answer, 200, 404)
        found: t.Dict[str, Stored] = {}
        nodes = [json_of(answer, dict).get("node") or {}]
        while nodes:
            node = nodes.pop()
            nodes += node.get("nodes", [])
            if not node.get("dir") and "key" in node:
                found[node["key"]] = Stored(node.get("value", ""), ttl=self._ttl)
        return found

    def renew(self, key: str, value: str) -> None:
        self.put(key, value)

    def set_ttl(self, seconds: int) -> None:
        self._ttl = seconds

    @staticmethod
    def _path(key: str) -> str:
        return f"/v2/keys/{quoted(key.lstrip('/'))}"


def _expect(answer: t.Any, *codes: int) -> None:
    if answer.status_code not in codes:
        kind = RegistryUnreachable if answer.status_code in (500, 502, 503, 504) else RegistryError
        raise kind(f"etcd: unexpected response code: {answer.status_code} ({answer.text.strip()[:300]})")


def _code(answer: t.Any) -> int:
    try:
        return int(answer.json().get("code", 0))
    except ValueError:
        return 0


def _upper_half(owner: str) -> int:
    return int.from_bytes(hashlib.sha256(f"registrator {owner}".encode()).digest()[:4], "big") >> 1


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "replace")
