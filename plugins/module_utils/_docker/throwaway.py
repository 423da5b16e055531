# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""One short command in a throwaway container of an image: nothing that runs is touched, and nothing stays."""

from __future__ import annotations

import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import MADE_LABEL

SECONDS = 60


def run(
    engine: Engine, image: str, entrypoint: str, arguments: list[str], files: t.Mapping[str, bytes] | None = None, host_config: dict[str, t.Any] | None = None
) -> tuple[int, str]:
    """Exit code and output of `entrypoint arguments`. `files` (absolute path to content) are there before it starts."""
    with engine.doing(f"run {entrypoint} {arguments[0]} in a throwaway container of {image}"):
        body = {
            "Image": image,
            "Entrypoint": [entrypoint],
            "Cmd": arguments,
            "User": "0",
            "Labels": {MADE_LABEL: "throwaway"},
            "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "json-file"}, **(host_config or {})},
        }
        container = engine.api.create_container_from_config(body)["Id"]
        try:
            if files:
                engine.api.put_archive(container, "/", _archive(files))
            engine.api.start(container)
            code = engine.api.wait(container, timeout=SECONDS)["StatusCode"]
            return code, engine.api.logs(container).decode(errors="replace").strip()
        finally:
            engine.api.remove_container(container, force=True, v=True)


def _archive(files: t.Mapping[str, bytes]) -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
