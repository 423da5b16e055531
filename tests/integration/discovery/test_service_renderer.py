# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role service_renderer on a host with systemd, with a real nginx and a Consul with ACLs."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

import pytest
from hosts import SystemdHost
from servers import ROOT

IMAGE = os.environ.get("TEST_HOST_IMAGE", "")
UNIT, TARGET = "consul-discovery-render", "/etc/nginx/conf.d/web.conf"
AGENT = {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": ROOT, "agent": ROOT}}}
REGISTER = """
import sys, urllib.request
headers = {"X-Consul-Token": sys.argv[1]}
url = "http://127.0.0.1:8500/v1/agent/service/register"
urllib.request.urlopen(urllib.request.Request(url, sys.argv[2].encode(), headers, method="PUT"))
"""
TEMPLATE = """\
upstream web {
{% for one in web %}
  server {{ one.netloc }} max_fails=0;
{% endfor %}
}
"""

pytestmark = pytest.mark.skipif(not IMAGE, reason="TEST_HOST_IMAGE is not set")


class Host(SystemdHost):
    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(folder, IMAGE, "discovery-renderer")

    def prepare(self) -> None:
        self.until("systemctl is-system-running", "running")
        self.run("apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends nginx-light")
        self.run("systemctl start nginx")
        self.run_consul(AGENT)

    def register(self, port: int) -> None:
        service = {"Name": "web", "Address": "127.0.0.1", "Port": port, "Tags": ["v2"]}
        subprocess.run(["docker", "exec", self.name, "python3", "-c", REGISTER, ROOT, json.dumps(service)], check=True)

    def play(self, *words: str, **variables: t.Any) -> t.Tuple[int, int, str]:
        template: t.Dict[str, t.Any] = {"source": "web.conf.j2", "target": TARGET, "check": ["nginx", "-t"], "reload": ["systemctl", "reload", "nginx"]}
        template.update(variables.pop("template", {}), services={"web": {"tags": ["v2"]}})
        own = {"service_renderer_token": ROOT, "service_renderer_templates": [template], **variables}
        done = self.play_role("service_renderer", own, *words)
        assert ROOT not in done[2]
        return done


@pytest.fixture
def host(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    (tmp_path / "web.conf.j2").write_text(TEMPLATE)
    host = Host(tmp_path)
    try:
        host.prepare()
        yield host
    finally:
        host.remove()


def test_the_renderer_comes_runs_changes_and_goes(host: Host) -> None:
    code, changed, said = host.play("--check")
    assert code == 0 and changed > 0, said
    assert host.run("ls /etc/consul-discovery /opt/discovery.consul 2>&1 | grep -c 'No such file'") == "2"
    host.register(9001)
    assert host.play()[0] == 0
    host.until(f"cat {TARGET}", "server 127.0.0.1:9001 max_fails=0;")
    host.register(9002)
    host.until(f"cat {TARGET}", "server 127.0.0.1:9002 max_fails=0;")
    host.until(f"journalctl --unit {UNIT}", "written for 1 web; reloaded")
    assert host.run("stat -c '%a %U' /etc/consul-discovery/token") == "600 root"
    started = host.run(f"systemctl show --value --property=ExecMainPID {UNIT}")
    assert ROOT not in host.run(f"cat /proc/{started}/environ /proc/{started}/cmdline | tr '\\0' ' '")
    for words in ([], ["--check"]):
        assert host.play(*words)[:2] == (0, 0)

    # What it would not start with is refused, and what runs is not touched.
    code, changed, said = host.play(template={"owner": "nobody-knows"})
    assert code != 0 and "There is no user nobody-knows" in said
    assert host.run(f"systemctl show --value --property=ExecMainPID {UNIT}") == started

    # A run that was interrupted after it had written the configuration, and before the restart.
    host.run("rm /etc/consul-discovery/started-with")
    assert host.play("--check")[:2] == (0, 1)
    assert host.play()[:2] == (0, 2)
    assert host.run(f"systemctl show --value --property=ExecMainPID {UNIT}") != started
    assert host.play()[:2] == (0, 0)

    (host.folder / "other.conf.j2").write_text(TEMPLATE + "# other\n")
    assert host.play(template={"source": "other.conf.j2"})[0] == 0
    host.until(f"cat {TARGET}", "# other")
    assert host.run("ls /etc/consul-discovery/templates") == "other.conf.j2"

    # What it wrote stays, since nginx reads it, and so does what somebody else has put there.
    host.run("touch /etc/consul-discovery/mine")
    assert host.play(service_renderer_state="absent")[0] == 0
    assert host.play(service_renderer_state="absent")[:2] == (0, 0)
    assert host.run("ls -A /etc/consul-discovery /opt/discovery.consul") == "/etc/consul-discovery:\nmine\n\n/opt/discovery.consul:"
    assert "# other" in host.run(f"cat {TARGET}") and "inactive" in host.run(f"systemctl is-active {UNIT}")
