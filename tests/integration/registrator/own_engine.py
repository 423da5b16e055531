# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine beside the one of this machine, which a test may restart and kill. Needs root and ``dockerd``."""

from __future__ import annotations

import contextlib
import io
import pathlib
import subprocess
import tarfile
import time
import typing as t

import docker

IMAGE = "empty"
PROGRAMS = [name for name in ("bin", "lib", "lib64", "usr") if pathlib.Path(f"/{name}").exists()]


class OwnEngine:
    """Everything that it keeps is below ``folder``, whose path must be short: sockets lie in it."""

    def __init__(self, folder: pathlib.Path, *words: str) -> None:
        self.folder, self.words = folder, words
        self.path = folder / "engine.sock"
        self.url = f"unix://{self.path}"
        self.start()
        self.client = docker.DockerClient(self.url, timeout=60)
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        self.client.api.import_image_from_data(empty.getvalue(), repository=IMAGE)

    def start(self) -> None:
        """Return when it answers."""
        files = {name: str(self.folder / name) for name in ("data-root", "exec-root", "pidfile", "config-file")}
        # This machine's own file would be read otherwise.
        pathlib.Path(files["config-file"]).write_text("{}")
        # An engine without a bridge removes docker0 where it finds one: this one has a network namespace of its own.
        plain = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"]
        command = ["unshare", "--net", "dockerd", f"--host={self.url}", *plain, *(f"--{name}={path}" for name, path in files.items()), *self.words]
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def crash(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def run(self, name: str, port: int, **settings: t.Any) -> str:
        """Run a container of this machine's own programs, which exposes a port on the engine's network; return its id."""
        api = self.client.api
        binds = [f"/{folder}:/{folder}:ro" for folder in PROGRAMS]
        host = api.create_host_config(network_mode="host", binds=binds, **settings)
        made = api.create_container(
            IMAGE, ["/bin/sleep", "900"], name=name, ports=[port], labels={"SERVICE_NAME": name}, stop_signal="SIGKILL", host_config=host
        )
        api.start(made)
        return str(made["Id"])

    def process_of(self, container: str) -> int:
        return int(self.client.api.inspect_container(container)["State"]["Pid"])

    def remove(self) -> None:
        if self.process.poll() is not None:
            self.start()
        for container in self.client.containers.list(all=True):
            container.remove(force=True)
        self.client.close()
        self.stop()
        # What it has mounted stays otherwise, and with it its folder.
        mounted = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        for path in [path for path in mounted if path.startswith(f"{self.folder}/")]:
            subprocess.run(["umount", "--lazy", path], check=True)

    def _answers(self) -> bool:
        try:
            with contextlib.closing(docker.DockerClient(self.url, timeout=5)) as client:
                return bool(client.ping())
        except (docker.errors.DockerException, OSError):
            return False
