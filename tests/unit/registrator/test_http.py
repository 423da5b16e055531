# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a request that nobody answers."""

from __future__ import annotations

import socket

import pytest
from registrator.registry import RegistryUnreachable, http


def test_a_request_that_was_given_up_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = http.Http(f"http://127.0.0.1:{server.getsockname()[1]}", http.Security())
        with pytest.raises(RegistryUnreachable):
            client.request("PUT", "/v1/agent/service/deregister/web")
        connection, _address = server.accept()
        with connection, pytest.raises(ConnectionResetError):
            while connection.recv(4096):
                pass
