# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ratios of this collection against a `community.docker` playbook, run in turn on one machine; lower is better for ours.

    python tests/benchmark/nodes.py [--runs 3]

The images must be present and the ports of the four nodes free: it starts and removes node1 to node4 itself. The peer
needs the package `ansible`, which is installed into an environment of its own below .cache.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PEER_ENVIRONMENT = PROJECT / ".cache" / "benchmark"
IMAGE = os.environ.get("CONSUL_IMAGE") or "localhost/discovery/consul:1.8.7-debian11"
NODES = ["node1", "node2", "node3", "node4"]
LIMIT = 120.0


def play(environment: pathlib.Path, *arguments: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_LOCALHOST_WARNING": "false"}
    command = [str(environment / "bin" / "ansible-playbook"), *arguments, "-e", f"ansible_python_interpreter={environment / 'bin' / 'python'}"]
    return subprocess.Popen(command, cwd=PROJECT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(output[-4000:])
    return output


# The peer secures nothing. Ours is measured as open as the peer, and at the level that everybody gets.
OURS = ("-i", "inventory/four_node", "site.yml", "--tags", "consul,health", "--limit", "consul_servers:consul_clients")
OPEN = (*OURS, "-e", "consul_agent_security=none")
PEER = ("-i", "localhost,", str(HERE / "peer_community_docker.yml"), "-e", f"image={IMAGE}")


def get(path: str) -> t.Any:
    with urllib.request.urlopen(f"http://127.0.0.1:8500{path}", timeout=2) as answer:
        return json.load(answer)


def ready() -> bool:
    """Four alive members, a leader and four nodes in the catalog, seen from outside."""
    try:
        alive = [member for member in get("/v1/agent/members") if member["Status"] == 1]
        return len(alive) == len(NODES) and bool(get("/v1/status/leader")) and len(get("/v1/catalog/nodes")) == len(NODES)
    except (OSError, ValueError):
        return False


def remove() -> None:
    subprocess.run(["docker", "rm", "--force", "--volumes", *NODES], capture_output=True, check=False)
    subprocess.run(["docker", "volume", "rm", *(f"{node}-data" for node in NODES)], capture_output=True, check=False)
    subprocess.run(["docker", "network", "rm", "consul"], capture_output=True, check=False)
    for node in NODES:
        subprocess.run(["rm", "-rf", f"/etc/discovery.consul/{node}"], check=True)


def from_nothing(environment: pathlib.Path, arguments: tuple[str, ...], seen: t.Callable[[], bool] = ready) -> float:
    """Seconds from the start of the command until the cluster is ready, or the command has ended."""
    remove()
    began = time.monotonic()
    process = play(environment, *arguments)
    while not seen() and process.poll() is None:
        if time.monotonic() - began > LIMIT:
            process.kill()
            sys.exit(f"not ready within {LIMIT} s: {process.communicate()[0][-4000:]}")
        time.sleep(0.05)
    took = time.monotonic() - began
    finish(process)
    return took


def again(environment: pathlib.Path, arguments: tuple[str, ...]) -> tuple[float, str]:
    began = time.monotonic()
    output = finish(play(environment, *arguments))
    return time.monotonic() - began, output


def per_call(environment: pathlib.Path, playbook: str, calls: int = 20) -> float:
    """Seconds of one call on an unchanged node, without the start of ansible-playbook."""
    arguments = ("-i", "localhost,", str(HERE / playbook), "-e", f"image={IMAGE}")
    finish(play(environment, *arguments, "-e", "calls=1"))
    base = again(environment, (*arguments, "-e", "calls=1"))[0]
    return (again(environment, (*arguments, "-e", f"calls={calls + 1}"))[0] - base) / calls


def show(figures: dict[str, list[tuple[float, float]]]) -> None:
    print("| what | ours, median s | peer, median s | ratio |\n|---|---|---|---|")
    for what, pairs in ((what, pairs) for what, pairs in figures.items() if pairs):
        mine, others = statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
        print(f"| {what} | {mine:.2f} | {others:.2f} | {statistics.median(a / b for a, b in pairs):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    ours = PROJECT / ".venv"
    if not (PEER_ENVIRONMENT / "bin" / "ansible-playbook").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEER_ENVIRONMENT)], check=True)
        subprocess.run([str(PEER_ENVIRONMENT / "bin" / "pip"), "install", "--quiet", "ansible==12.3.0", "docker==7.2.0"], check=True)
    finish(play(ours, "-i", "inventory/four_node", "site.yml", "--tags", "engine,images"))
    figures: dict[str, list[tuple[float, float]]] = {
        **{"start from nothing, open": [], "start from nothing, full, until proven": [], "run again, open": [], "run again, full": []},
        "one call on an unchanged node": [],
    }
    output = ""
    try:
        for _run in range(runs):
            first = from_nothing(ours, OPEN)
            second = again(ours, OPEN)[0]
            with tempfile.TemporaryDirectory() as secrets:
                full = (*OURS, "-e", f"consul_agent_secrets={secrets}")
                full_first = from_nothing(ours, full, seen=lambda: False)
                full_second, output = again(ours, full)
            other_first = from_nothing(PEER_ENVIRONMENT, PEER)
            other_second = again(PEER_ENVIRONMENT, PEER)[0]
            figures["start from nothing, open"].append((first, other_first))
            figures["start from nothing, full, until proven"].append((full_first, other_first))
            figures["run again, open"].append((second, other_second))
            figures["run again, full"].append((full_second, other_second))
        remove()
        for _run in range(runs):
            figures["one call on an unchanged node"].append((per_call(ours, "calls_ours.yml"), per_call(PEER_ENVIRONMENT, "calls_peer.yml")))
    finally:
        show(figures)
        remove()
        finish(play(ours, "-i", "localhost,", str(HERE / "calls_ours.yml"), "-e", f"image={IMAGE}", "-e", "calls=1", "-e", "state=absent"))
        subprocess.run(["docker", "rm", "--force", "--volumes", "benchmark-peer"], capture_output=True, check=False)
    print(f"tasks in a run again at level full: {len(re.findall(r'^TASK', output, re.M))}, results: {len(re.findall(r'^(?:ok|changed)', output, re.M))}")


if __name__ == "__main__":
    main()
