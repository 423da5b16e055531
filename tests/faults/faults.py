# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens to the nodes, to their host and to Registrator. Each fault ends when its cause is out of the way."""

from __future__ import annotations

import json
import pathlib
import shutil
import time
import typing as t
import urllib.request
from contextlib import contextmanager, nullcontext
from email.utils import parsedate_to_datetime

from . import interrupted, site
from .site import SERVERS, docker, shell
from .trial import PATIENCE, Fault, Limits, Trial
from .watcher import health

# How long something stays broken: longer than an election and than gossip needs to call a node failed, 6 s.
BROKEN = 10

MOVED_TO = "172.30.0.77"

CLOCK = pathlib.Path(__file__).parent / "clock.py"


def leader_killed(trial: Trial) -> None:
    _killed(trial, site.leader().name)


def follower_killed(trial: Trial) -> None:
    _killed(trial, site.follower().name)


def all_servers_killed(trial: Trial) -> None:
    _killed(trial, *(node.name for node in SERVERS))


def _killed(trial: Trial, *names: str) -> None:
    docker("kill", *names)
    with trial.broken(f"{' and '.join(names)} killed"):
        time.sleep(BROKEN)
    docker("start", *names)


def leader_frozen(trial: Trial) -> None:
    name = site.leader().name
    docker("pause", name)
    with trial.broken(f"{name} frozen"):
        time.sleep(BROKEN)
    docker("unpause", name)


def clock_jumped(_trial: Trial) -> None:
    """The leader's clock is an hour ahead, then an hour behind, and then right again; that of its host stays as it is.

    Each time a follower comes back, so that certificates are looked at by that clock.
    """
    node = site.leader()
    for seconds in (3600, -3600, 0):
        _set_clock(node, seconds)
        docker("restart", site.follower().name)
        time.sleep(BROKEN)
        _until_healthy()


def _set_clock(node: site.Node, seconds: int) -> None:
    process = docker("top", node.name, "-C", "consul", "-o", "pid").split()[-1]
    docker("pause", node.name)
    site.run("docker", "exec", site.HOST, "python3", "-c", CLOCK.read_text(), process, str(seconds))
    docker("unpause", node.name)
    with urllib.request.urlopen(f"{node.expected['http']}/v1/status/leader", timeout=10) as response:
        ahead = parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()
    if abs(ahead - seconds) > 60:
        raise RuntimeError(f"{node.name} is {ahead:.0f} s ahead, not {seconds} s")


def minority_partitioned(trial: Trial) -> None:
    """The leader loses the others, and whoever is outside goes on talking to all of them."""
    cut = site.leader()
    _cut(cut, "--insert")
    # Until a heartbeat is missed nobody can know it, and the others may elect for 2 s.
    with trial.broken(f"{cut.name} cut off", grace=3):
        time.sleep(BROKEN)
    _cut(cut, "--delete")


def _cut(node: site.Node, action: str) -> None:
    others = ",".join(other.address for other in site.NODES if other != node)
    pid = docker("inspect", "--format", "{{.State.Pid}}", node.name)
    for chain, side in (("INPUT", "--source"), ("OUTPUT", "--destination")):
        shell(f"nsenter --target {pid} --net iptables {action} {chain} {side} {others} --jump DROP")


def engine_restarted(_trial: Trial) -> None:
    shell("systemctl restart docker")


def host_rebooted(_trial: Trial) -> None:
    site.run("docker", "restart", site.HOST)
    site.until("the host's engine answers", lambda: site.run("docker", "exec", site.HOST, "sh", "-c", "docker version || true"), 120)


def containers_made_anew(trial: Trial) -> None:
    docker("rm", "--force", *(node.name for node in site.NODES), "registrator")
    with trial.broken("no container is there"):
        time.sleep(1)
    site.play("site.yml", "--tags", "consul,registrator,health")


def address_moved(trial: Trial) -> None:
    """Somebody gives a server's container another address by hand, and its configuration with it."""
    moved = site.follower()
    configuration = f"/etc/discovery.consul/{moved.name}/consul.json"
    move = f"docker network disconnect consul {moved.name}; docker network connect --ip {MOVED_TO} consul {moved.name}"
    change = f"sed -i '/_addr/s/{moved.address}/{MOVED_TO}/' {configuration}"
    shell(f"docker stop {moved.name}; {move}; {change}; docker start {moved.name}")
    with trial.broken(f"{moved.name} is elsewhere"):
        time.sleep(BROKEN)
    site.play("site.yml", "--tags", "consul,health")


def data_wiped(trial: Trial) -> None:
    name = site.follower().name
    docker("kill", name)
    with trial.broken(f"{name} has lost its data"):
        shell(f"find {_data(name)} -mindepth 1 -delete")
        time.sleep(1)
    docker("start", name)


def disk_full(trial: Trial) -> None:
    """The leader's, whose data are on a small file system. Where its log is in segments, room for what comes next is reserved: nothing breaks then."""
    name = site.leader().name
    data = _data(name)
    segments = shell(f"ls -d {data}/raft/wal 2>/dev/null || true")
    # The first write that finds no room tells: until then the disk is as good as any.
    shell(f"dd if=/dev/zero of={data}/filler bs=64k 2>/dev/null || true")
    with nullcontext() if segments else trial.broken(f"the disk of {name} is full", grace=8):
        time.sleep(BROKEN + 8)
    shell(f"rm {data}/filler")


@contextmanager
def small_disks() -> t.Iterator[None]:
    """Both followers' data on file systems of their own, and one of them the leader then: only that one's disk gets full."""
    old = site.leader()
    moved = {node.name: _data(node.name) for node in SERVERS if node != old}
    for name, data in moved.items():
        mount = f"mount -t tmpfs -o size=256m,mode=0700,uid=100,gid=1000 tmpfs {data}"
        _with_data_aside(name, f"cp -a {data} /tmp/data; {mount}; cp -a /tmp/data/. {data}")
    docker("restart", old.name)
    _until_healthy()
    try:
        yield
    finally:
        for name, data in moved.items():
            _with_data_aside(name, f"cp -a {data} /tmp/data; umount {data}; find {data} -mindepth 1 -delete; cp -a /tmp/data/. {data}")


def _with_data_aside(name: str, script: str) -> None:
    shell(f"docker stop {name}; {script}; rm -r /tmp/data; docker start {name}")
    _until_healthy()


def _until_healthy() -> None:
    site.until("healthy", lambda: all(health().good for _time in range(3)), PATIENCE)


def _data(name: str) -> str:
    return docker("inspect", "--format", '{{range .Mounts}}{{if eq .Type "volume"}}{{.Source}}{{end}}{{end}}', name)


def registrator_killed(_trial: Trial) -> None:
    """While containers come and go."""
    image = docker("inspect", "--format", "{{.Config.Image}}", "node1")
    start = f"docker run --detach --label faults --publish {site.ADDRESS}::80 --entrypoint sleep --name"
    try:
        shell(f"for n in 1 2 3 4; do {start} churn-$n {image} 600; done")
        site.until("the first are registered", lambda: site.registered() == site.publishing(), 20)
        docker("kill", "registrator")
        shell(f"docker rm --force churn-1 churn-2; for n in 5 6; do {start} churn-$n {image} 600; done; docker restart --time 0 churn-3")
        docker("start", "registrator")
        shell(f"docker rm --force churn-4; {start} churn-7 {image} 600")
        site.until("the registry equals the running containers", lambda: site.registered() == site.publishing(), 30)
    finally:
        shell("docker rm --force $(docker ps --all --quiet --filter label=faults)")
    site.until("the registry equals the running containers", lambda: site.registered() == site.publishing(), 30)


def reloaded(_trial: Trial) -> None:
    """An option that nothing has to be restarted for."""
    _restarting(0, "site.yml", *_with("log_level", "debug"))


def gossip_key_changed(_trial: Trial) -> None:
    """By its own playbook, which ends with site.yml."""
    _restarting(0, "playbooks/rotate_gossip_key.yml")


def option_changed(_trial: Trial) -> None:
    """An option that all nodes have to be restarted for."""
    _restarting(4, "site.yml", *_with("raft_multiplier", 2))


def image_changed(_trial: Trial) -> None:
    """The same release in another image."""
    image = docker("inspect", "--format", "{{.Config.Image}}", "node1")
    name = f"localhost/faults/consul:{time.time():.0f}"
    shell(f"printf 'FROM {image}\\nLABEL faults=another' | docker build --tag {name} -")
    _restarting(4, "site.yml", *_with("image", name))


def change_interrupted(_trial: Trial) -> None:
    interrupted.run_to_the_end(*_with("raft_multiplier", 3))


def rotation_interrupted(_trial: Trial) -> None:
    interrupted.rotate_to_the_end()


@contextmanager
def nothing_there() -> t.Iterator[None]:
    """No container, data or secret, and then first runs that are interrupted."""
    site.play("playbooks/clean.yml", "--extra-vars", "clean_data=yes")
    shutil.rmtree(site.SECRETS.parent)
    interrupted.run_to_the_end()
    yield


def two_at_once(_trial: Trial) -> None:
    """Two plays want to change the same nodes: the second one stops at once, names the first one, and has changed nothing."""
    lock = "/run/discovery.consul/lock"
    first = site.start("site.yml", *_with("raft_multiplier", 4))
    site.until("the first play holds the lock", lambda: first.poll() is not None or site.shell(f"ls {lock} 2>/dev/null || true"))
    second = site.start("site.yml", *_with("raft_multiplier", 5))
    refused = " ".join(second.communicate()[0].split())
    if second.returncode == 0 or "Another play works on this host" not in refused or f"process {first.pid}," not in refused:
        raise RuntimeError(f"the second play was not refused: {refused[-3000:]}")
    output = first.communicate()[0]
    if first.returncode != 0:
        raise RuntimeError(f"the first play did not end well: {output[-3000:]}")
    configured = json.loads(site.docker("exec", "node1", "cat", "/consul/config/consul.json"))["performance"]["raft_multiplier"]
    if configured != 4:
        raise RuntimeError(f"not the first play's change, but {configured}")


def _with(option: str, value: t.Any) -> tuple[str, ...]:
    """What site.yml is run with to change an option of the nodes."""
    return ("--tags", "consul,health", "--extra-vars", json.dumps({f"consul_agent_{option}": value}))


def _restarting(number: int, playbook: str, *arguments: str) -> None:
    """Run a playbook that restarts so many nodes."""
    before = _started()
    site.play(playbook, *arguments)
    restarted = [name for name, moment in _started().items() if moment != before[name]]
    if len(restarted) != number:
        raise RuntimeError(f"restarted: {restarted}, not {number} nodes")


def _started() -> dict[str, str]:
    names = [node.name for node in site.NODES]
    return dict(zip(names, docker("inspect", "--format", "{{.State.StartedAt}}", *names).splitlines()))


def _nothing(_trial: Trial) -> None:
    """What comes before it is what is tried."""


# The first one removes all data, with what another one has written. What the limits are: seconds without writes, until it is noticed,
# and until all is healthy again. An election takes 2 to 4 s and a client waits 2 s; a machine with two cores is often late.
FAULTS: dict[str, Fault] = {
    "site.yml from nothing, killed again and again": Fault(_nothing, Limits(10, None, 90), around=nothing_there),
    "leader killed": Fault(leader_killed, Limits(30, 30, 120)),
    "leader frozen and thawed": Fault(leader_frozen, Limits(15, 15, 90)),
    "follower killed": Fault(follower_killed, Limits(10, 15, 90)),
    "leader cut off": Fault(minority_partitioned, Limits(15, 15, 90)),
    "all servers killed": Fault(all_servers_killed, Limits(BROKEN + 30, 15, 120)),
    "one server's data wiped": Fault(data_wiped, Limits(10, 15, 120)),
    "leader's disk full": Fault(disk_full, Limits(BROKEN + 30, None, 120), around=small_disks),
    "leader's clock jumps": Fault(clock_jumped, Limits(20, None, 90)),
    "registrator killed in a churn": Fault(registrator_killed, Limits(10, None, 60)),
    "engine restarted": Fault(engine_restarted, Limits(90, 30, 120)),
    "host rebooted": Fault(host_rebooted, Limits(150, 30, 150)),
    "all containers removed, site.yml": Fault(containers_made_anew, Limits(150, 15, 120)),
    "a server at another address, site.yml": Fault(address_moved, Limits(20, 30, 120)),
    "site.yml: reload": Fault(reloaded, Limits(10, None, 60)),
    "rotate_gossip_key.yml": Fault(gossip_key_changed, Limits(10, None, 60)),
    "site.yml: option that restarts": Fault(option_changed, Limits(40, None, 120)),
    "site.yml: another image": Fault(image_changed, Limits(20, None, 90)),
    "site.yml: killed again and again": Fault(change_interrupted, Limits(60, None, 120)),
    "rotate_tokens.yml: killed again and again": Fault(rotation_interrupted, Limits(60, None, 120)),
    "site.yml: two at once": Fault(two_at_once, Limits(20, None, 90)),
}
SHORT = ["leader killed", "site.yml: option that restarts"]
