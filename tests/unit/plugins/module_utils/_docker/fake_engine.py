# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small Docker Engine API on a unix socket: enough of containers, images and networks to converge one container.

It keeps what it is given the way an engine does (image defaults merged in, empty lists as null), so that a comparison
that is too strict or too lax shows. `fail` makes the next call of a kind fail; `journal` holds every changing call.
"""

from __future__ import annotations

import copy
import json
import re
import socketserver
import threading
import typing as t
import urllib.parse
from http.server import BaseHTTPRequestHandler

Json = t.Dict[str, t.Any]

IMAGES: dict[str, Json] = {
    "consul:1": {"Id": "sha256:one", "Config": {"Env": ["PATH=/bin", "IMAGE=1"], "Labels": {"from": "image"}, "Cmd": ["agent"], "User": ""}},
    "consul:2": {"Id": "sha256:two", "Config": {"Env": ["PATH=/bin", "IMAGE=2"], "Labels": {"from": "image"}, "Cmd": ["agent"], "User": ""}},
}


LAST_WORDS = b"the last words\n"
FRAME = b"\x01\0\0\0" + len(LAST_WORDS).to_bytes(4, "big")


class FakeEngine:
    """The engine's state and its answers."""

    def __init__(self, path: str) -> None:
        self.host = f"unix://{path}"
        self.containers: dict[str, Json] = {}
        self.networks: dict[str, Json] = {}
        self.journal: list[str] = []
        self.info: Json = {"LoggingDriver": "json-file", "SecurityOptions": ["name=seccomp,profile=default"]}
        self.exits: set[str] = set()
        """Images whose containers end at once."""
        self.has_shell = True
        """Whether a command can be run in a container."""
        self.version: Json = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10", "Arch": "amd64"}
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: t.Any) -> None:
                del format, args

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null") if length else None
                url = urllib.parse.urlparse(self.path)
                path = re.sub(r"^/v1\.\d+", "", url.path)
                query = {key: value[0] for key, value in urllib.parse.parse_qs(url.query).items()}
                asked = re.match(r"^/v1\.(\d+)/", url.path)
                status, answer = engine.too_old(asked[1] if asked else None) or engine.answer(self.command, urllib.parse.unquote(path), query, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = handle_any

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

    def too_old(self, minor: str | None) -> tuple[int, Json] | None:
        """What is said to who asks for less than the least API; a path without a version has the engine's own."""
        least = self.version["MinAPIVersion"]
        if minor is None or int(minor) >= int(least.partition(".")[2]):
            return None
        return 400, {"message": f"client version 1.{minor} is too old. Minimum supported API version is {least}, please upgrade your client to a newer version"}

    def answer(self, method: str, path: str, query: Json, body: t.Any) -> tuple[int, t.Any]:
        if method != "GET":
            self.journal.append(f"{method} {path}")
        for pattern, handler in (
            (r"/version", lambda: (200, self.version)),
            (r"/info", lambda: (200, self.info)),
            (r"/containers/json", self._list),
            (r"/containers/create", lambda: self._create(query["name"], body)),
            (r"/containers/([^/]+)/json", lambda name: self._found(name, lambda one: (200, self._shown(one)))),
            (r"/containers/([^/]+)/start", lambda name: self._found(name, self._start)),
            (r"/containers/([^/]+)/stop", lambda name: self._found(name, self._stop)),
            (r"/containers/([^/]+)/exec", lambda name: self._found(name, lambda _one: (201, {"Id": " ".join(body["Cmd"])}))),
            (r"/exec/.+/json", lambda: (200, {"ExitCode": 0 if self.has_shell else 127})),
            (r"/containers/([^/]+)/restart", lambda name: self._found(name, self._start)),
            (r"/containers/([^/]+)/update", lambda name: self._found(name, lambda one: self._update(one, body))),
            (r"/containers/([^/]+)/rename", lambda name: self._found(name, lambda one: self._rename(one, query["name"]))),
            (r"/containers/([^/]+)/logs", lambda name: self._found(name, lambda one: (200, FRAME + LAST_WORDS))),
            (r"/containers/([^/]+)", lambda name: self._found(name, self._remove)),
            (r"/images/(.+)/json", self._image),
            (r"/networks/create", lambda: self._create_network(body)),
            (r"/networks/([^/]+)", lambda name: (200, self.networks[name]) if name in self.networks else (404, {"message": "no network"})),
        ):
            match = re.fullmatch(pattern, path)
            if match:
                return t.cast("tuple[int, t.Any]", handler(*match.groups()))  # type: ignore[operator]
        return 404, {"message": f"no such path {path}"}

    def _found(self, name: str, act: t.Callable[[Json], tuple[int, t.Any]]) -> tuple[int, t.Any]:
        one = next((c for c in self.containers.values() if name in (c["Name"][1:], c["Id"])), None)
        return act(one) if one else (404, {"message": f"No such container: {name}"})

    def _list(self) -> tuple[int, t.Any]:
        return 200, [
            {"Id": c["Id"], "Names": [c["Name"]], "Labels": c["Config"]["Labels"], "State": c["State"]["Status"], "Ports": []} for c in self.containers.values()
        ]

    def _image(self, name: str) -> tuple[int, t.Any]:
        image = next((i for tag, i in IMAGES.items() if name in (tag, i["Id"])), None)
        return (200, image) if image else (404, {"message": f"No such image: {name}"})

    def _create(self, name: str, body: Json) -> tuple[int, t.Any]:
        if any(c["Name"] == f"/{name}" for c in self.containers.values()):
            return 409, {"message": f"The container name /{name} is already in use"}
        image = IMAGES[body["Image"]]
        identity = f"{len(self.journal):064x}"
        body = copy.deepcopy(body)
        host = {
            "LogConfig": {"Type": self.info["LoggingDriver"], "Config": {}},
            "Memory": 0,
            "CapDrop": None,
            "Init": None,
            "Mounts": None,
            "Tmpfs": None,
            **body.pop("HostConfig"),
        }
        endpoints = body.pop("NetworkingConfig", {}).get("EndpointsConfig") or {host["NetworkMode"]: {}}
        given = dict(entry.split("=", 1) for entry in body.get("Env") or [])
        merged = {**dict(entry.split("=", 1) for entry in image["Config"]["Env"]), **given}
        config = {
            **image["Config"],
            "Hostname": identity[:12],
            "Tty": False,
            **body,
            "Env": [f"{key}={value}" for key, value in merged.items()],
            "Labels": {**image["Config"]["Labels"], **(body.get("Labels") or {})},
        }
        self.containers[identity] = {
            "Id": identity,
            "Name": f"/{name}",
            "Image": image["Id"],
            "Config": config,
            "HostConfig": host,
            "NetworkSettings": {"Networks": endpoints},
            "RestartCount": 0,
            "State": {"Status": "created", "Running": False, "Paused": False, "ExitCode": 0},
        }
        return 201, {"Id": identity, "Warnings": []}

    def _start(self, one: Json) -> tuple[int, t.Any]:
        ends = one["Config"]["Image"] in self.exits
        one["State"].update(Status="exited" if ends else "running", Running=not ends, ExitCode=1 if ends else 0)
        return 204, b""

    def _stop(self, one: Json) -> tuple[int, t.Any]:
        one["State"].update(Status="exited", Running=False)
        return 204, b""

    def _update(self, one: Json, body: Json) -> tuple[int, t.Any]:
        for key, value in body.items():
            if value:
                one["HostConfig"][key] = value
        return 200, {"Warnings": None}

    def _rename(self, one: Json, name: str) -> tuple[int, t.Any]:
        if any(c["Name"] == f"/{name}" for c in self.containers.values()):
            return 409, {"message": "in use"}
        one["Name"] = f"/{name}"
        return 204, b""

    def _remove(self, one: Json) -> tuple[int, t.Any]:
        del self.containers[one["Id"]]
        return 204, b""

    def _create_network(self, body: Json) -> tuple[int, t.Any]:
        self.networks[body["Name"]] = {"Name": body["Name"], "IPAM": body["IPAM"], "Labels": body["Labels"], "Containers": {}}
        return 201, {"Id": "n"}

    @staticmethod
    def _shown(one: Json) -> Json:
        """As an engine shows it: what is empty is null."""
        shown = copy.deepcopy(one)
        shown["HostConfig"] = {key: None if value == [] else value for key, value in shown["HostConfig"].items()}
        return shown
