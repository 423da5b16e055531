# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of the engine's socket that lets only reads of containers, events and the version pass."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import typing as t

ALLOWED = re.compile(rb"(GET|HEAD) (/v1\.[0-9]+)?/(_ping|version|events|containers/json|containers/[^/ ]+/json)[ ?]")


class SocketProxy:
    """Listens at ``path``, connects to ``engine`` (paths of sockets). ``refused`` keeps what it did not let pass."""

    def __init__(self, path: str, engine: str) -> None:
        self.path, self.engine = path, engine
        self.refused: t.List[bytes] = []
        self._open: t.List[socket.socket] = []
        self.start()

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and break those that there are."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        os.unlink(self.path)
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = listener.accept()
                upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                upstream.connect(self.engine)
                self._open += [client, upstream]
                threading.Thread(target=self._forward, args=(client, upstream, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(upstream, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):
            data = source.recv(65536)
            while data:
                if is_request and not ALLOWED.match(data):
                    self.refused.append(data)
                    break
                target.sendall(data)
                data = source.recv(65536)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
