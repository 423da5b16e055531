# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Ask an agent with nothing but what comes with Ansible, so that a controller needs no Python library for Consul."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

from ansible.module_utils.basic import env_fallback
from ansible.module_utils.urls import open_url
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Answer, ConsulError, answer_of, reason_of, split
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

DEFAULT_URL = "http://127.0.0.1:8500"
UNIX = "unix://"

READER_ARGUMENTS: Json = {
    "ca_path": {"type": "str", "fallback": (env_fallback, ["CONSUL_CACERT"])},
    "datacenters": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "float", "default": 30},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "str"},
    "url": {"type": "str", "default": DEFAULT_URL, "fallback": (env_fallback, ["CONSUL_HTTP_ADDR"])},
}
"""Documented in the fragment `reader`."""


@dataclass(frozen=True)
class Response:
    """What `answer_of` takes."""

    code: int
    body: bytes
    headers: t.Mapping[str, str]


class Reader:
    """One agent's HTTP API: `http://10.0.0.11:8500`, `127.0.0.1:8500`, `unix:///run/consul.sock`."""

    def __init__(self, url: str, token: str = "", ca_path: str | None = None, timeout: float = 30) -> None:
        self.url = url if "://" in url else f"http://{url}"
        self._socket = self.url[len(UNIX) :] if self.url.startswith(UNIX) else None
        self._base = "http://localhost" if self._socket else self.url.rstrip("/")
        if not self._socket and split(self.url).username is not None:
            raise OperatorError("The URL of Consul must not hold a user or a password. Give a token in `token` or `token_file`.")
        if ca_path and not os.path.isfile(ca_path):
            raise OperatorError(f"There is no file {ca_path}, which `ca_path` or CONSUL_CACERT names. It holds the certificates of the authorities to trust.")
        self._headers = {"X-Consul-Token": token} if token else {}
        self._options: Json = {"ca_path": ca_path, "timeout": timeout, "unix_socket": self._socket}

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any]) -> Reader:
        """The reader that the options of a plugin or a module ask for."""
        token, token_file = options["token"], options["token_file"]
        # The one that is given wins over the other one in the environment, which Ansible cannot say of two options.
        if token is None and token_file is None:
            token, token_file = os.environ.get("CONSUL_HTTP_TOKEN"), os.environ.get("CONSUL_HTTP_TOKEN_FILE")
        # An empty variable is none, so these are no paths to Ansible, which takes an empty path for its working folder.
        token_file, ca_path = (os.path.expanduser(path or "") for path in (token_file, options["ca_path"]))
        return cls(options["url"] or DEFAULT_URL, token_of(token, token_file), ca_path or None, options["timeout"])

    def get(self, path: str, **params: str) -> Answer:
        """Ask once. The token goes to this address only: neither a redirection nor a proxy of the environment is followed."""
        return self._ask("GET", path, params)

    def put(self, path: str, **params: str) -> Answer:
        """Tell it something that has no body."""
        return self._ask("PUT", path, params)

    def _ask(self, method: str, path: str, params: t.Mapping[str, str]) -> Answer:
        shown = self.url + path
        query = urlencode([item for item in params.items() if item[1]], quote_via=quote)
        try:
            return answer_of(shown, self._open(method, f"{self._base}{path}?{query}"), may_be_empty=method == "PUT")
        except (OSError, HTTPException, ValueError) as exc:
            raise ConsulError(shown, reason_of(exc)) from exc

    def _open(self, method: str, url: str) -> Response:
        try:
            answer = open_url(url, method=method, headers=self._headers, use_proxy=False, follow_redirects="none", use_netrc=False, **self._options)
        except HTTPError as exc:
            answer = exc
        with answer:
            return Response(answer.code, answer.read(), dict(answer.headers.items()))


def token_of(token: str | None, file: str | None) -> str:
    """The token, from a file when one is named. A mistake is told without what was read."""
    where = "`token`"
    if file:
        where = f"the file {file}"
        try:
            with open(file, encoding="utf-8") as lines:
                token = lines.read().strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise OperatorError(f"The token cannot be read from {where}: {getattr(exc, 'strerror', None) or 'it is no text'}.") from exc
        if not token:
            raise OperatorError(f"There is no token in {where}: it is empty.")
    if token and not re.fullmatch(r"[!-~]+", token):
        raise OperatorError(f"What is in {where} is no token: a token is one word of ASCII characters.")
    return token or ""


def segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")
