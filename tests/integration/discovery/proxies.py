# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx and a real HAProxy in containers on the host's network, that read a folder of ours."""

from __future__ import annotations

import pathlib
import re
import subprocess
import time
import typing as t
import uuid

import consul_agent
import pytest

NGINX = """\
worker_processes 2;
error_log /dev/stderr warn;
pid /tmp/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_timeout 0;
  include FOLDER/conf.d/*.conf;
}
"""
TEMPLATE = """\
upstream web {
{% for one in web %}
  server {{ one.netloc }} max_fails=0;
{% endfor %}
}
server {
  listen 127.0.0.1:PORT;
  location / {
    proxy_pass http://web;
    proxy_connect_timeout 1s;
    proxy_next_upstream error timeout;
  }
}
"""


class Container:
    def __init__(self, image: str, folder: pathlib.Path, *command: str) -> None:
        self.name = f"discovery-test-{uuid.uuid4().hex[:8]}"
        self._run("run", "--detach", "--name", self.name, "--network", "host", "--volume", f"{folder}:{folder}", image, *command)

    def logs(self) -> str:
        return subprocess.run(["docker", "logs", self.name], check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def remove(self) -> None:
        self._run("rm", "--force", "--volumes", self.name)

    @staticmethod
    def _run(*words: str) -> None:
        done = subprocess.run(["docker", *words], check=False, text=True, capture_output=True)
        if done.returncode:
            pytest.fail(f"docker {' '.join(words)}: {done.stderr}")


class Nginx:
    """nginx and the renderer's configuration for it."""

    def __init__(self, image: str, folder: pathlib.Path, consul: str) -> None:
        self.folder, self.port = folder / "nginx", consul_agent.free_port()
        self.target = self.folder / "conf.d/web.conf"
        self.target.parent.mkdir(parents=True)
        (self.folder / "nginx.conf").write_text(NGINX.replace("FOLDER", str(self.folder)))
        (self.folder / "web.j2").write_text(TEMPLATE.replace("PORT", str(self.port)))
        self.config = self.folder / "render.toml"
        self.container = Container(image, self.folder, "nginx", "-c", f"{self.folder}/nginx.conf", "-g", "daemon off;")
        inside = f'"docker", "exec", "{self.container.name}", "nginx", "-c", "{self.folder}/nginx.conf"'
        self.config.write_text(
            f'[agent]\nurl = "{consul}"\n[[template]]\nsource = "web.j2"\ntarget = "{self.target}"\n'
            f'check = [{inside}, "-t"]\nreload = [{inside}, "-s", "reload"]\n[template.services.web]\n'
        )
        self._await()

    def _await(self) -> None:
        end = time.monotonic() + 20
        while subprocess.run(["docker", "exec", self.container.name, "test", "-s", "/tmp/nginx.pid"], check=False).returncode:
            assert time.monotonic() < end, self.container.logs()
            time.sleep(0.05)


class Haproxy:
    """HAProxy with the configuration that docs/discovery.md shows, on ports of its own."""

    def __init__(self, image: str, folder: pathlib.Path, dns: int, statistics: bool = False) -> None:
        self.port, self.statistics = consul_agent.free_port(), folder / "haproxy.sock"
        shown = re.search(r"```haproxy\n(.*?)```", (pathlib.Path(__file__).parents[3] / "docs/discovery.md").read_text(), re.S)
        assert shown is not None
        text = shown[1].replace("127.0.0.1:8600", f"127.0.0.1:{dns}").replace(":8080", f"127.0.0.1:{self.port}")
        assert str(dns) in text and str(self.port) in text
        if statistics:
            text = f"global\n  stats socket {self.statistics} mode 666 level user\n\n{text}"
        file = folder / "haproxy.cfg"
        file.write_text(text)
        self.container = Container(image, folder, "haproxy", "-db", "-f", str(file))


def failed_and_answered(results: t.Iterable[t.Tuple[float, float, str]], lives: t.Iterable[t.Any]) -> t.Tuple[t.List[t.Any], t.List[t.Any]]:
    """Return requests that failed although some instance was passing throughout, and those that failed with a reason."""
    known = list(lives)
    wrong, excused = [], []
    for began, ended, error in results:
        if error:
            covered = any(life.born <= began and ended <= life.died for life in known)
            (wrong if covered else excused).append((began, ended, error))
    return wrong, excused
