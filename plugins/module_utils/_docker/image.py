# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Images: looked for, pulled, loaded, built and removed, one entry at a time."""

from __future__ import annotations

import subprocess
import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

Json = t.Dict[str, t.Any]

DIGEST_LABEL = "discovery.consul.context"
"""Holds a digest of what an image was built from."""

MADE_LABEL = "discovery.consul.made"
UNREACHABLE = (
    "no such host",
    "dial tcp",
    "i/o timeout",
    "connection refused",
    "tls handshake timeout",
    "client.timeout",
    "network is unreachable",
    "server misbehaving",
)
LAST_LINES = 15


class ImageError(OperatorError):
    """An image that cannot be had; the text says what was tried."""


@dataclass(frozen=True)
class Entry:
    """One image that is wanted, and where it may come from. `digest` is of the folder that it is built from."""

    name: str
    fallback: str | None = None
    archive: str | None = None
    context: str | None = None
    digest: str | None = None
    rootfs: str | None = None
    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of an entry: `none`, `pull`, `load`, `build` or `import`; `missing` when the controller has to help."""

    name: str
    action: str
    reason: str = ""


def settle(engine: Engine, entry: Entry, check_mode: bool) -> Outcome:
    """Make the image present. In check mode nothing is done, and what would be is returned."""
    for name in filter(None, (entry.name, entry.fallback)):
        if is_current(engine.image(name), entry.digest if name == entry.name else None):
            return Outcome(name, "none")
    action, act = _way(engine, entry)
    if check_mode and action != "missing":
        return Outcome(entry.name, action)
    reason = act()
    return Outcome(entry.name, "missing" if reason else action, reason)


def is_current(image: Json | None, digest: str | None) -> bool:
    """Whether the image is there and, when it is built here, was built from what is there now."""
    labels = ((image or {}).get("Config") or {}).get("Labels") or {}
    return image is not None and (digest is None or labels.get(DIGEST_LABEL) == digest)


def remove(engine: Engine, name: str, check_mode: bool) -> bool:
    """Remove an image that was built here; whether there was one."""
    image = engine.image(name)
    if MADE_LABEL not in (((image or {}).get("Config") or {}).get("Labels") or {}):
        return False
    if not check_mode:
        with engine.doing(f"remove the image {name}"):
            engine.api.remove_image(name)
    return True


def _way(engine: Engine, entry: Entry) -> tuple[str, t.Callable[[], str]]:
    if entry.archive:
        return "load", lambda: _load(engine, entry)
    if entry.rootfs:
        return "import", lambda: _import(engine, entry)
    if entry.context:
        return "build", lambda: _build(engine, entry)
    if entry.digest:
        return "missing", lambda: "it is built from files of the controller"
    return "pull", lambda: _pull(engine, entry)


def _load(engine: Engine, entry: Entry) -> str:
    try:
        with engine.doing(f"load {entry.archive}"), open(str(entry.archive), "rb") as archive:
            for _line in engine.api.load_image(archive):
                pass
    except OSError as exc:
        raise ImageError(f"The archive {entry.archive} for the image {entry.name} cannot be read ({exc.strerror}). Copy it to the Docker host.") from exc
    if engine.image(entry.name) is None:
        raise ImageError(f"The archive {entry.archive} does not hold the image {entry.name}. Make it with: docker save {entry.name}")
    return ""


def _import(engine: Engine, entry: Entry) -> str:
    repository, _colon, tag = entry.name.rpartition(":")
    command = ["tar", "-C", str(entry.rootfs), "-c", "."]
    with engine.doing(f"import {entry.rootfs} as {entry.name}"), subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        answer = engine.api.import_image_from_stream(tar.stdout, repository, tag, changes=[f"LABEL {MADE_LABEL}=image"])
    if tar.returncode != 0 or engine.image(entry.name) is None:
        raise ImageError(f"The folder {entry.rootfs} could not be made the image {entry.name}: {answer.strip()[-300:]}")
    return ""


def _build(engine: Engine, entry: Entry) -> str:
    labels = {MADE_LABEL: "image", **({DIGEST_LABEL: entry.digest} if entry.digest else {})}
    lines: list[str] = []
    with engine.doing(f"build the image {entry.name}"):
        for message in engine.api.build(path=entry.context, tag=entry.name, buildargs=entry.arguments, labels=labels, rm=True, forcerm=True, decode=True):
            lines += str(message.get("stream", "")).splitlines()
            if message.get("error"):
                words = "\n".join(line for line in lines if line.strip())[-2000:]
                raise ImageError(f"The image {entry.name} could not be built: {message['error']} The last lines:\n{_tail(words)}")
    return ""


def _pull(engine: Engine, entry: Entry) -> str:
    try:
        pull(engine, entry.name)
    except EngineError as exc:
        if entry.fallback and any(words in str(exc).lower() for words in UNREACHABLE):
            return str(exc)
        raise ImageError(f"The image {entry.name} cannot be pulled: {exc} Load it from an archive, or name an image that is there.") from exc
    return ""


def pull(engine: Engine, name: str) -> None:
    """Pull the image; EngineError with the engine's words when that fails."""
    repository, tag = split_tag(name)
    with engine.doing(f"pull the image {name}"):
        engine.api.pull(repository, tag=tag)


def split_tag(image: str) -> tuple[str, str]:
    """Repository and tag or digest: `host:5000/a:1` as `host:5000/a` and `1`; `latest` when there is none."""
    if "@" in image:
        repository, _at, digest = image.partition("@")
        return repository, digest
    head, slash, tail = image.rpartition("/")
    name, _colon, tag = tail.partition(":")
    return f"{head}{slash}{name}", tag or "latest"


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LAST_LINES:])
