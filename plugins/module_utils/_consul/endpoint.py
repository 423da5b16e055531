# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Where an agent's HTTP API listens, as its configuration says, and how that is reached from its Docker host."""

from __future__ import annotations

import http.client
import ipaddress
import re
import ssl
import typing as t
from dataclasses import dataclass

from ansible_collections.discovery.consul.plugins.module_utils._docker import ports
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import UnixConnection

Json = t.Dict[str, t.Any]

HTTP_PORT, NONE = 8500, -1
UNIX = "unix://"
EVERYWHERE = ("0.0.0.0", "::", "[::]")
TIMEOUT = 2

_TEMPLATE_OR_WORD = re.compile(r"\{\{.*?\}\}|\S+")


@dataclass(frozen=True)
class Listener:
    """One place where an agent is configured to listen: an address, `unix://PATH`, or a go-sockaddr template, which only the agent resolves."""

    scheme: str
    address: str
    port: int

    def __str__(self) -> str:
        return self.address if self.address.startswith(UNIX) else url(self.scheme, self.address, self.port)

    @property
    def loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False


def listeners(config: Json) -> list[Listener]:
    """Where a configuration has the API listen, HTTP first."""
    found = []
    for scheme, default in (("http", HTTP_PORT), ("https", NONE)):
        port = (config.get("ports") or {}).get(scheme, default)
        where = (config.get("addresses") or {}).get(scheme) or config.get("client_addr") or "127.0.0.1"
        if port > 0:
            found += [Listener(scheme, address, port) for address in _TEMPLATE_OR_WORD.findall(where)]
    return found


def reached_at(listener: Listener, live: Json, network: str | None) -> list[str]:
    """The addresses at which the Docker host reaches it, of a running container in `network`, or in the host's for None."""
    process = live["State"].get("Pid")
    if listener.address.startswith(UNIX):
        return [f"{UNIX}/proc/{process}/root{listener.address[len(UNIX) :]}"] if process else []
    own = ((live.get("NetworkSettings") or {}).get("Networks") or {}).get(network) or {}
    here = "127.0.0.1" if network is None else own.get("IPAddress")
    where = ports.listening(listener.port, process) if "{{" in listener.address and process else [listener.address]
    return [address for address in (here if one in EVERYWHERE else one for one in where) if address]


def ask(listener: Listener, address: str, path: str) -> tuple[int | None, str]:
    """Status and body of a GET, or None and why there is no answer."""
    connection = _connection(listener, address)
    try:
        connection.request("GET", path, headers={"Host": "localhost"} if address.startswith(UNIX) else {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as exc:
        return None, str(exc)
    finally:
        connection.close()


def url(scheme: str, address: str, port: int) -> str:
    return f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}"


def _connection(listener: Listener, address: str) -> http.client.HTTPConnection:
    if address.startswith(UNIX):
        return UnixConnection(address[len(UNIX) :], TIMEOUT)
    if listener.scheme == "http":
        return http.client.HTTPConnection(address, listener.port, timeout=TIMEOUT)
    # Only whether it answers is asked, and nothing secret is sent.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(address, listener.port, timeout=TIMEOUT, context=context)
