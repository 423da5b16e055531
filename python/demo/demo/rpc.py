# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""A service of remote procedures over TCP: a JSON object in each line asks, and one answers it.

{"id": 1, "method": "add", "params": [1, 2]}
{"id": 1, "result": 3, "instance": "rpc-1"}
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import socketserver
import threading
import typing as t

LONGEST_LINE = 64 * 1024
MOST_NUMBERS = 1000
METHODS: t.Dict[str, t.Callable[[t.List[float]], float]] = {"add": sum, "multiply": math.prod}


class Refused(Exception):
    """A request that is not answered, and why."""


class Service(socketserver.ThreadingTCPServer):
    """The server. ``instance`` is told with each answer."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, instance: str) -> None:
        super().__init__(("", port), Handler)
        self.instance = instance

    def answer(self, line: bytes) -> t.Dict[str, t.Any]:
        """What is answered to a line."""
        try:
            request = json.loads(line)
        except ValueError:
            return {"id": None, "error": "This line is not JSON."}
        if not isinstance(request, dict):
            return {"id": None, "error": "This line is not a JSON object."}
        try:
            return {"id": request.get("id"), "result": _result(request), "instance": self.instance}
        except Refused as refused:
            return {"id": request.get("id"), "error": str(refused)}


def _result(request: t.Mapping[str, t.Any]) -> float:
    method, params = request.get("method"), request.get("params")
    if not isinstance(method, str) or method not in METHODS:
        raise Refused(f"The methods are {', '.join(METHODS)}.")
    if not isinstance(params, list) or len(params) > MOST_NUMBERS or not all(type(one) in (int, float) and abs(one) < 1e6 for one in params):
        raise Refused(f"params must be a list of at most {MOST_NUMBERS} numbers below a million.")
    result = METHODS[method]([float(one) for one in params])
    if not math.isfinite(result):
        raise Refused("The result is too large.")
    return result


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    server: Service
    timeout = 60

    def handle(self) -> None:
        try:
            while True:
                line = self.rfile.readline(LONGEST_LINE)
                if not line.endswith(b"\n"):
                    return
                self.wfile.write(json.dumps(self.server.answer(line)).encode() + b"\n")
        except OSError:
            return


def main() -> None:
    service = Service(int(os.environ.get("PORT", "8080")), os.environ.get("INSTANCE") or socket.gethostname())
    signal.signal(signal.SIGTERM, lambda *_signal: threading.Thread(target=service.shutdown).start())
    service.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()
