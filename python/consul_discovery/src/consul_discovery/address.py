# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Where an agent is, and how it is spoken to."""

from __future__ import annotations

import ssl
import typing as t
import urllib.parse
from dataclasses import dataclass

from .errors import ConfigurationError


@dataclass(frozen=True)
class Tls:
    """Files are read for each connection: a certificate that was renewed is used from the next one on."""

    ca_file: t.Optional[str] = None
    client_cert: t.Optional[str] = None
    client_key: t.Optional[str] = None
    server_name: t.Optional[str] = None

    def context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ConfigurationError(f"The CA file {self.ca_file} cannot be used: {error}") from None
        if self.client_cert:
            try:
                context.load_cert_chain(self.client_cert, self.client_key)
            except OSError as error:
                raise ConfigurationError(f"The client certificate {self.client_cert} with key {self.client_key} cannot be used: {error}") from None
        return context


@dataclass(frozen=True)
class Address:
    """``http://``, ``https://`` or ``unix://``."""

    scheme: str
    host: str
    port: int
    path: str
    """The socket file of ``unix://``; otherwise what stands before ``/v1``."""

    @classmethod
    def parse(cls, url: str) -> Address:
        if "://" not in url:
            url = f"http://{url}"
        parts = urllib.parse.urlsplit(url)
        # The URL is not repeated where it may hold a secret.
        if parts.username or parts.password or "@" in parts.netloc:
            raise ConfigurationError("The URL of the agent must hold no user or password; a token is given by token or token_file.")
        if parts.query or parts.fragment:
            raise ConfigurationError("The URL of the agent must hold no query; a token is given by token or token_file.")
        if parts.scheme == "unix":
            if parts.netloc or not parts.path:
                raise ConfigurationError(f"{url} names no socket: write unix:///absolute/path")
            return cls("unix", "localhost", 0, parts.path)
        if parts.scheme not in ("http", "https"):
            raise ConfigurationError(f"{url}: the agent is reached by http://, https:// or unix://")
        try:
            port = parts.port or (8501 if parts.scheme == "https" else 8500)
        except ValueError as error:
            raise ConfigurationError(f"{url}: {error}") from None
        if not parts.hostname:
            raise ConfigurationError(f"{url} names no host")
        return cls(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))

    @property
    def prefix(self) -> str:
        return "" if self.scheme == "unix" else self.path

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"
