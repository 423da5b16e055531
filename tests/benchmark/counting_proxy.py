# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A door in front of a Consul agent at which writes are counted."""

from __future__ import annotations

import contextlib
import socket
import threading


class CountingProxy:
    """Forwards connections to ``port`` of loopback from its own ``port``; ``writes`` counts PUT requests."""

    def __init__(self, port: int) -> None:
        self._target, self.writes = port, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _address = self._listener.accept()
            upstream = socket.create_connection(("127.0.0.1", self._target))
            for end in (client, upstream):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._forward, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._forward, args=(upstream, client), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data = source.recv(65536)
            while data:
                # A request begins a piece of its own: the next is only sent when the last was answered.
                self.writes += data.startswith(b"PUT ")
                target.sendall(data)
                data = source.recv(65536)
            target.shutdown(socket.SHUT_WR)
