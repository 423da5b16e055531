# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The one adapter over the Python libraries for Consul: python-consul2 and py-consul, which are both `import consul`.

Only what both have is used: `Consul(...)` and `get`, `put`, `post` and `delete` of its `http`, with a callback of our own. Their
methods for single endpoints differ, leave out the token here and the timeout there, and lose the body of a status 429.
"""

from __future__ import annotations

import copy
import json
import os
import threading
import typing as t
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

LIBRARIES = ("python-consul2", "py-consul", "python-consul")
REPAIR = "Run `pip uninstall -y python-consul2 py-consul python-consul` and then `pip install python-consul2`."

_construction = threading.Lock()


class ConsulError(OperatorError):
    """An address that gave no answer of Consul's: `url` is what was asked, `evidence` what came instead."""

    def __init__(self, url: str, evidence: str) -> None:
        super().__init__(f"{url} gave no answer of Consul's: {evidence}")
        self.url = url
        self.evidence = evidence


class LibraryError(OperatorError):
    """The library for Consul is installed in a way that cannot work."""


class LibraryMissingError(Exception):
    """A library cannot be imported; `name` is what to install."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True)
class Answer:
    """What one question brought: a status with data, or an error."""

    url: str = ""
    status: int | None = None
    data: t.Any = None
    error: str | None = None
    # Consul 1.11 and newer say when the token did not suffice to see everything.
    filtered: bool = False
    # Seconds since 1970 by the clock of the node that answered.
    date: float | None = None

    @property
    def good(self) -> bool:
        return self.status == 200

    @property
    def denied(self) -> bool:
        """Permission is wanting. The keyring says so with a status 500."""
        return self.status in {401, 403} or (self.status == 500 and "denied by ACLs" in str(self.data))

    @property
    def trouble(self) -> str:
        """Why it is no good answer, for the operator."""
        what = self.error if self.error is not None else f"status {self.status}, {_short(self.data)}"
        return f"{self.url}: {what}" if self.url else what


class Client:
    """One agent's HTTP API, by URL: `http://10.0.0.11:8500`, `https://[fd00::11]:8501`."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        timeout: float = 10,
    ) -> None:
        parts = split(url)
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._headers = {"X-Consul-Token": token} if token else {}
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._http = _construct(host=host, port=port, scheme=parts.scheme, verify=verify, cert=cert, timeout=timeout)

    def with_token(self, token: str) -> Client:
        """The same agent, asked with another token."""
        other = copy.copy(self)
        other._headers = {"X-Consul-Token": token}
        return other

    def get(self, path: str, **params: str) -> Answer:
        return self._ask("get", path, params)

    def put(self, path: str, data: str, **params: str) -> Answer:
        return self._ask("put", path, params, data=data)

    def post(self, path: str, data: str, **params: str) -> Answer:
        return self._ask("post", path, params, data=data)

    def delete(self, path: str, data: str = "", **params: str) -> Answer:
        return self._ask("delete", path, params, data=data)

    def _ask(self, method: str, path: str, params: dict[str, str], **body: str) -> Answer:
        from consul import ConsulException
        from requests import RequestException

        url = f"{self.url}{path}"
        call = getattr(self._http, method)
        try:
            return call(
                lambda response: answer_of(url, response, may_be_empty=method != "get"),
                self._prefix + path,
                params=list(params.items()),
                headers=self._headers,
                **body,
            )
        except (RequestException, ConsulException, OSError, ValueError) as exc:
            raise ConsulError(url, reason_of(exc)) from exc


def check_library() -> None:
    """Refuse a missing library, and two that overwrote each other: all of them are the package `consul`."""
    from importlib import metadata

    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    if len(found) > 1:
        raise LibraryError(f"{' and '.join(found)} are installed over each other, as both are the Python package `consul`. {REPAIR}")
    if found and found[0].startswith("python-consul "):
        raise LibraryError(f"{found[0]} is too old: it cannot send a token as a header. {REPAIR}")
    try:
        with _quiet():
            import consul
    except ImportError as exc:
        raise LibraryMissingError("python-consul2", str(exc)) from exc
    if not hasattr(consul, "Consul"):
        raise LibraryError(f"The Python package `consul` at {getattr(consul, '__file__', 'an unknown place')} is no library for Consul. {REPAIR}")


def _construct(*, timeout: float, **options: t.Any) -> t.Any:
    """The library's HTTP client. What the environment says about Consul would beat the arguments, so it is out of the way."""
    with _construction, _quiet(), _without_consul_environment():
        import consul

        # The two libraries name the same thing differently.
        name = "connections_timeout" if hasattr(consul.std, "DEFAULT_TIMEOUT") else "timeout"
        return consul.Consul(**options, **{name: timeout}).http


@contextmanager
def _without_consul_environment() -> t.Iterator[None]:
    held = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("CONSUL_HTTP_")}
    try:
        yield
    finally:
        os.environ.update(held)


@contextmanager
def _quiet() -> t.Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def split(url: str) -> t.Any:
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0
    except ValueError as exc:
        raise ConsulError(url, f"it is no URL ({exc}). Write it like http://10.0.0.11:8500.") from exc
    if wrong:
        raise ConsulError(url, "it is no URL of an HTTP API. Write it like http://10.0.0.11:8500.")
    return parts


def answer_of(url: str, response: t.Any, may_be_empty: bool = False) -> Answer:
    body = response.body if isinstance(response.body, str) else bytes(response.body or b"").decode("utf-8", "replace")
    headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
    return Answer(
        url=url,
        status=response.code,
        data=None if may_be_empty and not body else _parsed(url, response.code, body),
        filtered=headers.get("x-consul-results-filtered-by-acls") == "true",
        date=_seconds(headers.get("date")),
    )


def _parsed(url: str, status: int, body: str) -> t.Any:
    try:
        return json.loads(body)
    except ValueError as exc:
        if status == 200:
            raise ConsulError(url, f"status 200 with {_short(body) or 'an empty body'} instead of JSON") from exc
        return body.strip()


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (TypeError, ValueError):
        return None


def reason_of(exc: Exception) -> str:
    """The innermost reason; the libraries wrap it four times, with addresses of objects in between."""
    inner: BaseException = exc
    while inner.args and (nested := getattr(inner.args[0], "reason", inner.args[0])) is not inner and isinstance(nested, BaseException):
        inner = nested
    # Old and new releases of urllib3 begin with the object: `<...HTTPConnection object at 0x7f...>: `, `HTTPConnection(...): `.
    text = str(inner)
    _object, separator, words = text.partition(">: " if text.startswith("<") else "): ")
    text = words if separator and text.startswith(("<", "HTTP")) else text
    return f"{type(exc).__name__}: {_short(text)}"


def _short(data: t.Any) -> str:
    text = " ".join((data if isinstance(data, str) else json.dumps(data)).split())
    return text if len(text) <= 200 else f"{text[:200]}..."
