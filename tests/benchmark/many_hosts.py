# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the time of site.yml grows with the number of hosts and of forks, at level full.

    python tests/benchmark/many_hosts.py [--clients 4 16 48] [--forks 10 50]

Each host of the inventory is a node in a container of its own on this machine's engine, with an address of its own on loopback. So
the machine's cores do for all hosts what each host would do for itself: what a real site gains by forks is not seen here, and
what grows faster than the number of hosts is. The image must be present.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import tempfile
import typing as t

from nodes import IMAGE, PROJECT, again


def inventory(folder: pathlib.Path, clients: int) -> pathlib.Path:
    """Three servers and so many clients, each with an address of its own."""

    def hosts(kind: str, count: int, first: int) -> dict[str, t.Any]:
        return {f"benchmark-{kind}{number + 1}": {"consul_agent_advertise_addr": f"127.1.0.{first + number}"} for number in range(count)}

    variables = {
        "ansible_connection": "local",
        "consul_agent_image": IMAGE,
        "consul_agent_bind_addr": "{{ consul_agent_advertise_addr }}",
        "consul_agent_client_addr": "{{ consul_agent_advertise_addr }}",
        "consul_agent_secrets": str(folder / "secrets"),
    }
    servers = {"hosts": hosts("server", 3, 11), "vars": {"consul_agent_http_url": "http://{{ consul_agent_advertise_addr }}:8500"}}
    path = folder / "hosts.json"
    path.write_text(
        json.dumps({"all": {"children": {"consul_servers": servers, "consul_clients": {"hosts": hosts("client", clients, 21)}}, "vars": variables}})
    )
    return path


def measure(clients: int, forks: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        common = ("-i", str(inventory(pathlib.Path(folder), clients)), f"--forks={forks}")
        try:
            first, _output = again(PROJECT / ".venv", (*common, "site.yml"))
            second, output = again(PROJECT / ".venv", (*common, "site.yml"))
            changed = sum(int(number) for number in re.findall(r"changed=(\d+)", output))
            print(f"| {clients} | {forks} | {first:.0f} | {second:.0f} | {second / (clients + 3):.2f} | {changed} |", flush=True)
        finally:
            again(PROJECT / ".venv", (*common, "playbooks/clean.yml", "-e", "clean_data=yes"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, nargs="+", default=[4, 16, 48])
    parser.add_argument("--forks", type=int, nargs="+", default=[10, 50])
    options = parser.parse_args()
    print("| clients | forks | first run, s | run again, s | run again, s per host | changed again |\n|---|---|---|---|---|---|")
    for clients in options.clients:
        for forks in options.forks:
            measure(clients, forks)


if __name__ == "__main__":
    sys.exit(main())
