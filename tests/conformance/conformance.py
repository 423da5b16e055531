# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run any Registrator against recorded cases and say which hold.

    conformance.py [--golden FILE] [--only NAME] [--wait S] -- COMMAND [ARG ...]

Each case gives containers (as the Engine API's inspect answers them), flags, environment and a registry URI; the
command is started as `COMMAND ARG... FLAGS URI` with DOCKER_HOST pointing at a small fake Engine API and the URI at
a fake Consul agent, both on this machine only. Compared is what the agent was asked to register (method, path, body;
tags as a set; an Address of HOSTADDR stands for any concrete address of the host) and the exit code.
Exit status: 0 when every case holds.

A case with `free` pins nothing but that the program neither crashes nor hangs. `differs_from_original` says where the
original, whose behaviour the cases record, is wanted to be surpassed.
"""

import argparse
import copy
import ipaddress
import json
import os
import pathlib
import queue
import re
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).resolve().parent
HOSTNAME = socket.gethostname()
PATIENCE_S = 60


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return "local"

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while True:
                size = int(self.rfile.readline().strip() or b"0", 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, code, payload, kind="application/json", extra=()):
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for key, value in extra:
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)


class FakeConsul:
    def __init__(self):
        self.ops, self.services = [], {}
        outer = self

        class Handler(Quiet):
            def handle_any(self):  # noqa: PLR0911 - one return a request
                raw = self.body()
                path = urllib.parse.urlparse(self.path).path
                try:
                    body = json.loads(raw) if raw else None
                except ValueError:
                    body = raw.decode("latin1")
                if path.startswith(("/v1/agent/service/", "/v1/kv/")) and self.command in ("PUT", "DELETE"):
                    op = {"method": self.command, "path": path}
                    if body is not None:
                        op["body"] = body
                    if self.headers.get("X-Consul-Token"):
                        op["token"] = self.headers["X-Consul-Token"]
                    if self.headers.get("Authorization"):
                        op["auth"] = self.headers["Authorization"]
                    outer.ops.append(op)
                if path == "/v1/agent/service/register" and isinstance(body, dict):
                    name = body.get("ID") or body.get("Name")
                    outer.services[name] = dict(body, ID=name, Service=body.get("Name"))
                    return self.answer(200, b"")
                if path.startswith("/v1/agent/service/deregister/"):
                    outer.services.pop(urllib.parse.unquote(path.split("/deregister/", 1)[1]), None)
                    return self.answer(200, b"")
                if path == "/v1/agent/services":
                    return self.answer(200, outer.services)
                if path in ("/v1/agent/checks", "/v1/agent/self"):
                    return self.answer(200, {})
                if path == "/v1/status/leader":
                    return self.answer(200, "127.0.0.1:8300")
                if path.startswith("/v1/kv/"):  # nothing is there to be read before it is written, and no case reads what it wrote
                    return self.answer(404 if self.command == "GET" else 200, b"" if self.command == "GET" else b"true")
                return self.answer(404, b"")

            do_GET = do_PUT = do_DELETE = do_POST = handle_any

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class FakeEngine:
    def __init__(self, containers, folder):
        self.path = os.path.join(folder, "docker.sock")
        by_id = {c["Id"]: c for c in containers}
        self.streams = []
        outer = self

        class Handler(Quiet):
            def do_HEAD(self):
                self.send_response(200)
                self.send_header("Api-Version", "1.47")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):  # noqa: PLR0911 - one return a request
                path = re.sub(r"^/v1\.\d+", "", urllib.parse.urlparse(self.path).path)
                if path == "/_ping":
                    return self.answer(200, b"OK", "text/plain", [("Api-Version", "1.47")])
                if path == "/version":
                    return self.answer(200, {"Version": "27.5.1", "ApiVersion": "1.47", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"})
                if path == "/info":
                    return self.answer(200, {"Name": HOSTNAME, "ID": "fake"})
                if path == "/containers/json":
                    return self.answer(
                        200,
                        [
                            {
                                "Id": i,
                                "Names": [c["Name"]],
                                "Image": c["Config"]["Image"],
                                "Labels": c["Config"]["Labels"],
                                "State": "running",
                                "Status": "Up",
                                "HostConfig": c["HostConfig"],
                            }
                            for i, c in by_id.items()
                        ],
                    )
                if path.startswith("/containers/") and path.endswith("/json"):
                    key = urllib.parse.unquote(path.split("/")[2])
                    for i, c in by_id.items():
                        if i.startswith(key) or c["Name"] == "/" + key:
                            return self.answer(200, c)
                    return self.answer(404, {"message": "No such container: " + key})
                if path == "/events":
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.flush()
                    stream = queue.Queue()
                    outer.streams.append(stream)
                    stream.get()
                    self.close_connection = True
                    return None
                return self.answer(404, {"message": "page not found"})

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def get_request(self):
                request, _address = super().get_request()
                return request, ("local", 0)

        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        for stream in self.streams:
            stream.put(None)
        self.server.shutdown()
        self.server.server_close()


def is_host_address(text):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not address.is_unspecified


def normal(op):
    op = copy.deepcopy(op)
    body = op.get("body")
    if isinstance(body, dict):
        body = {k: v for k, v in body.items() if v not in (None, "", [], {})}
        if "Tags" in body:
            body["Tags"] = sorted(body["Tags"])
        if "Meta" in body:  # the original also repeats every CHECK_ key as meta data: noise, neither wanted nor refused
            body["Meta"] = {k: v for k, v in body["Meta"].items() if not k.startswith("check_")}
            if not body["Meta"]:
                del body["Meta"]
        check = body.get("Check")
        if isinstance(check, dict):
            check = {("ScriptArgs" if k == "Args" else k): v for k, v in check.items() if v not in (None, "", [], {}, False)}
            body["Check"] = check
            if not check:
                del body["Check"]
        op["body"] = body
    return op


def same(got, want):
    if len(got) != len(want):
        return False
    left = [normal(o) for o in got]
    for w in (normal(o) for o in want):
        for i, g in enumerate(left):
            probe = copy.deepcopy(g)
            if isinstance(w.get("body"), dict) and w["body"].get("Address") == "HOSTADDR" and is_host_address(g.get("body", {}).get("Address", "")):
                probe["body"]["Address"] = "HOSTADDR"
            if probe == w:
                del left[i]
                break
        else:
            return False
    return True


def run(case, command, wait):
    with tempfile.TemporaryDirectory() as folder:
        consul, engine = FakeConsul(), FakeEngine(case["input"]["containers"], folder)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CONSUL_", "DOCKER_"))}
        env.update({k: v.replace("PORT", str(consul.port)) for k, v in case["input"]["env"].items()})
        env["DOCKER_HOST"] = "unix://" + engine.path
        env["GL_DISABLE_VERSION_CHECK"] = "1"
        uri = case["input"]["uri"].replace("PORT", str(consul.port))
        process = subprocess.Popen([*command, *case["input"]["args"], uri], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        want = case["want"]
        # What is to come is waited for however busy the machine is; that nothing comes shows after a while.
        end = time.time() + (PATIENCE_S if want["ops"] or want["exit"] is not None else wait)
        while time.time() < end and process.poll() is None:
            time.sleep(0.05)
            if want["ops"] and len(consul.ops) >= len(want["ops"]):
                time.sleep(0.3)
                break
        code, ops = process.poll(), list(consul.ops)  # what it does when it is asked to stop is not part of a static case
        if code is None:
            process.terminate()
        try:
            text = process.communicate(timeout=15)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            text = process.communicate()[0]
        engine.stop()
        consul.stop()
    got = json.loads(json.dumps(ops).replace(HOSTNAME, "HOSTNAME"))
    if case.get("free"):
        ok = True
    elif want["exit"] is not None:
        ok = code == want["exit"] and same(got, want["ops"])
    else:
        ok = code is None and same(got, want["ops"])
    return ok, code, got, text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", default=str(HERE / "golden.json"))
    parser.add_argument("--only")
    parser.add_argument("--wait", type=float, default=4.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    cases = json.loads(pathlib.Path(args.golden).read_text())
    if args.only:
        cases = {args.only: cases[args.only]}
    with ThreadPoolExecutor(args.jobs) as pool:
        results = dict(zip(cases, pool.map(lambda c: run(c, command, args.wait), cases.values())))
    failed = [name for name, result in results.items() if not result[0]]
    for name in failed:
        _ok, code, got, text = results[name]
        print(f"FAIL {name}  {cases[name].get('differs_from_original', '')}")
        print("  want", json.dumps(cases[name]["want"], sort_keys=True))
        print("  got ", json.dumps({"exit": code, "ops": got}, sort_keys=True))
        if args.only:
            print(text)
    print(f"{len(cases) - len(failed)} of {len(cases)} cases hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
