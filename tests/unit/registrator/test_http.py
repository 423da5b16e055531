# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a request that nobody answers."""

from __future__ import annotations

import posixpath
import socket
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as some
from registrator.connection import Security
from registrator.registry import RegistryError, RegistryUnreachable, http


@given(some.text())
def test_what_is_quoted_leads_down_and_nowhere_else(text: str) -> None:
    try:
        path = http.quoted(text)
    except (RegistryError, UnicodeEncodeError):
        return
    url = urlsplit(f"http://h/v1/{path}")
    assert (url.query, url.fragment, url.netloc) == ("", "", "h")
    assert posixpath.normpath(url.path) == url.path == f"/v1/{path}"
    assert unquote(path) == text


def test_a_request_that_was_given_up_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = http.Http(f"http://127.0.0.1:{server.getsockname()[1]}", Security())
        with pytest.raises(RegistryUnreachable):
            client.request("PUT", "/v1/agent/service/deregister/web")
        connection, _address = server.accept()
        with connection, pytest.raises(ConnectionResetError):
            while connection.recv(4096):
                pass
