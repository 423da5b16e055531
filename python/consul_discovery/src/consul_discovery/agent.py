# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""What is asked of an agent, and what its answers are worth."""

from __future__ import annotations

import hashlib
import json
import typing as t
import urllib.parse
from dataclasses import dataclass

from . import answers
from .address import Address, Tls
from .connection import Answer, Connection
from .errors import AgentError
from .instance import Instance
from .text import printable
from .token import Token

# An agent keeps a request for up to 7 s while there is no leader; giving up before that would tell nothing.
READ_SECONDS = 10.0
NO_ACLS = "no ACLs"
_RIGHTS = ("AccessorID", "Policies", "Roles", "ServiceIdentities", "NodeIdentities", "TemplatedPolicies", "Namespace", "Partition")


@dataclass(frozen=True)
class Query:
    """What a watch asks for."""

    service: str
    tags: t.FrozenSet[str]
    datacenter: t.Optional[str] = None

    @property
    def needs(self) -> str:
        return f'the token needs `service "{self.service}" {{ policy = "read" }}` and `node_prefix "" {{ policy = "read" }}`'


class Health(t.NamedTuple):
    """One answer about a service."""

    registered: t.Tuple[Instance, ...]
    left_out: t.Tuple[str, ...]
    changed_at: int
    """Consul's index, or 0 when the answer had none that can be used."""
    leader: t.Optional[bool]
    """Whether a leader was known; ``None`` when the answer does not say."""
    filtered: bool
    """Whether ACLs kept something back. Consul says so from 1.11 on, and never to anonymous readers."""


class Agent:
    """One agent of Consul. Has no state but the token's."""

    def __init__(self, url: str, token: Token, tls: Tls, datacenter: t.Optional[str] = None) -> None:
        self.address, self.token, self.tls, self.datacenter = Address.parse(url), token, tls, datacenter

    def connection(self) -> Connection:
        return Connection(self.address, self.tls)

    def health(self, connection: Connection, query: Query, index: int = 0, wait: float = 0.0, consistent: bool = False) -> Health:
        """Ask for all instances, passing or not. With an index, the answer comes when something changed or ``wait`` is over."""
        parameters: t.List[t.Tuple[str, str]] = [("tag", tag) for tag in sorted(query.tags)]
        if query.datacenter:
            parameters.append(("dc", query.datacenter))
        timeout = READ_SECONDS
        if index:
            parameters += [("index", str(index)), ("wait", f"{int(wait * 1000)}ms")]
            # Consul adds up to a sixteenth to what it was asked to wait.
            timeout += wait * 17 / 16
        if consistent:
            parameters.append(("consistent", ""))
        path = f"/v1/health/service/{urllib.parse.quote(query.service, safe='')}?{urllib.parse.urlencode(parameters)}"
        answer = self._ask(connection, path, timeout)
        if answer.status != 200:
            raise AgentError(self._refusal(answer, query.needs))
        registered, left_out = answers.listing(answers.decode(answer.body), query.tags)
        return Health(registered, left_out, _index(answer), _flag(answer, "x-consul-knownleader"), bool(_flag(answer, "x-consul-results-filtered-by-acls")))

    def rights(self, connection: Connection, timeout: float = READ_SECONDS) -> t.Optional[str]:
        """Return ``NO_ACLS``, a digest of what the token may do as far as it can see that itself, or ``None`` when it is told nothing."""
        answer = self._ask(connection, "/v1/acl/token/self", timeout)
        if answer.status == 401 and b"ACL support disabled" in answer.body:
            return NO_ACLS
        if answer.status in (403, 404):
            return None
        if answer.status != 200:
            raise AgentError(self._refusal(answer, "a token may always read itself"))
        found = answers.decode(answer.body)
        if not isinstance(found, dict):
            raise AgentError("the answer about the token is not Consul's")
        kept = json.dumps({name: found.get(name) for name in _RIGHTS}, sort_keys=True)
        return hashlib.sha256(kept.encode()).hexdigest()

    def _ask(self, connection: Connection, path: str, timeout: float) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": "consul-discovery"}
        token = self.token.read()
        if token:
            headers["X-Consul-Token"] = token
        return connection.get(path, headers, timeout)

    def _refusal(self, answer: Answer, needs: str) -> str:
        said = printable(self.token.hide(answer.body[:400].decode("utf-8", "replace")).strip(), 200)
        hint = f"; {needs}" if answer.status == 403 else ""
        return f"{self.address} answered {answer.status}: {said or 'nothing more'}{hint}"


def _index(answer: Answer) -> int:
    """Return an index that one can block on: Consul's are above 0, and bugs have been known to send others."""
    value = answer.headers.get("x-consul-index", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else 0


def _flag(answer: Answer, name: str) -> t.Optional[bool]:
    return {"true": True, "false": False}.get(answer.headers.get(name, "").lower())
