# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of a small Docker Engine API on a unix socket, with a registry behind it that has moods.

As a real engine does, it answers a load, a build, and a pull that has begun with 200, and says in a later message that
it failed. `journal` holds every changing call.
"""

from __future__ import annotations

import io
import json
import re
import socketserver
import tarfile
import threading
import typing as t
import urllib.parse
from http.server import BaseHTTPRequestHandler

Json = t.Dict[str, t.Any]

NO_REGISTRY = "Get https://registry.test/v2/: dial tcp: lookup registry.test: no such host"


class FakeImages:
    """The engine's images, what the registry has, and what is inside archives."""

    def __init__(self, path: str) -> None:
        self.host = f"unix://{path}"
        self.images: dict[str, Json] = {}
        self.imported = b""
        self.registry: dict[str, Json] = {}
        self.refusal: tuple[int, str] | None = None
        """What a pull is answered with instead of an image."""
        self.breaks: str | None = None
        """What any load, build or pull says once it has begun."""
        self.used: set[str] = set()
        """IDs that containers run from."""
        self.journal: list[str] = []
        self.contexts: list[dict[str, str]] = []
        """Names and texts of the files that each build was sent."""
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: t.Any) -> None:
                del format, args

            def body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                data = b""
                while size := int(self.rfile.readline(), 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return data

            def answer(self) -> None:
                url = urllib.parse.urlparse(self.path)
                query = {key: value[0] for key, value in urllib.parse.parse_qs(url.query).items()}
                path = urllib.parse.unquote(re.sub(r"^/v1\.\d+", "", url.path))
                status, messages = engine.answer(self.command, path, query, self.body())
                self.send_response(status)
                if self.command == "POST" and status == 200:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for line in [*(json.dumps(message) + "\r\n" for message in messages), ""]:
                        self.wfile.write(f"{len(line):x}\r\n{line}\r\n".encode())
                else:
                    data = json.dumps(messages[0] if messages else []).encode()
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def get_request(self) -> tuple[t.Any, t.Any]:
                request, _address = super().get_request()
                return request, ("local", 0)

        self.server = Server(path, Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, query: Json, body: bytes) -> tuple[int, list[Json]]:
        if path == "/version":
            return 200, [{"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10", "Arch": "amd64"}]
        name = path[len("/images/") :].replace("/json", "")
        if method == "GET":
            return (200, [self.images[name]]) if name in self.images else (404, [{"message": f"No such image: {name}"}])
        self.journal.append(f"{method} {path}")
        if method == "DELETE":
            return self._delete(name)
        if path == "/images/prune":
            return 200, [{"ImagesDeleted": None}]
        if path == "/images/create":
            return self._import(query, body) if "fromSrc" in query else self._pull(f"{query['fromImage']}:{query['tag']}")
        return self._load(body) if path == "/images/load" else self._build(query, body)

    def _delete(self, name: str) -> tuple[int, list[Json]]:
        if name in self.used:
            return 409, [{"message": f"conflict: unable to delete {name}: image is being used by running container 0"}]
        self.images.pop(name, None)
        return 200, []

    def _import(self, query: Json, body: bytes) -> tuple[int, list[Json]]:
        self.imported = body
        self.images[f"{query['repo']}:{query['tag']}"] = image("imported", {"discovery.consul.made": "image"} if "LABEL" in query["changes"] else {})
        return 200, [{"status": "sha256:imported"}]

    def _load(self, body: bytes) -> tuple[int, list[Json]]:
        if not self.breaks:
            self.images.update(json.loads(body))
        return 200, self._messages()

    def _build(self, query: Json, body: bytes) -> tuple[int, list[Json]]:
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            self.contexts.append({one.name: t.cast("t.IO[bytes]", tar.extractfile(one)).read().decode() for one in tar if one.isfile()})
        if not self.breaks:
            self.images[query["t"]] = image(f"built{len(self.journal)}", json.loads(query["labels"]), json.loads(query.get("buildargs", "{}")))
        return 200, self._messages()

    def _messages(self) -> list[Json]:
        return [{"stream": "Step 1\n"}, {"errorDetail": {"message": self.breaks}, "error": self.breaks} if self.breaks else {"stream": "Done\n"}]

    def _pull(self, name: str) -> tuple[int, list[Json]]:
        if self.refusal:
            return self.refusal[0], [{"message": self.refusal[1]}]
        if name not in self.registry:
            return 404, [{"message": f"manifest for {name} not found: manifest unknown"}]
        if not self.breaks:
            self.images[name] = self.registry[name]
        return 200, self._messages()


def image(identity: str, labels: Json | None = None, arguments: Json | None = None, architecture: str = "") -> Json:
    """An image as an engine shows it, with the build's arguments for tests to look at."""
    return {"Id": f"sha256:{identity}", "Config": {"Labels": labels or None}, "Arguments": arguments or {}, "Architecture": architecture}
