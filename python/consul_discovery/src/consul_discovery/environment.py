# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""The variables that Consul's own command understands."""

from __future__ import annotations

import typing as t

_VARIABLES = {
    "CONSUL_HTTP_ADDR": "url",
    "CONSUL_HTTP_TOKEN": "token",
    "CONSUL_HTTP_TOKEN_FILE": "token_file",
    "CONSUL_CACERT": "ca_file",
    "CONSUL_CLIENT_CERT": "client_cert",
    "CONSUL_CLIENT_KEY": "client_key",
    "CONSUL_TLS_SERVER_NAME": "tls_server_name",
}


def from_environment(environment: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Return them as options of ``Client``."""
    options = {option: environment[name] for name, option in _VARIABLES.items() if environment.get(name)}
    if environment.get("CONSUL_HTTP_SSL", "").lower() in ("1", "true"):
        url = options.get("url", "127.0.0.1:8501")
        options["url"] = url if "://" in url else f"https://{url}"
    if "token_file" in options:
        options.pop("token", None)
    return options
