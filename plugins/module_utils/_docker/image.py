# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Images: looked for, pulled, loaded, built and removed, one entry at a time."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import io
import os
import tarfile
import tempfile
import time
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError
from ansible_collections.discovery.consul.plugins.module_utils._docker.spec import MADE_LABEL

Json = t.Dict[str, t.Any]

DIGEST_LABEL = "discovery.consul.context"
"""Holds a digest of what an image was built from."""

VERSION_LABEL = "org.opencontainers.image.version"

UNREACHABLE = (
    "no such host",
    "dial tcp",
    "i/o timeout",
    "connection refused",
    "connection reset by peer",
    "tls handshake timeout",
    "client.timeout",
    "context deadline exceeded",
    "network is unreachable",
    "server misbehaving",
)
"""What an engine says when no registry answered it. A registry that refuses, or does not know an image, did answer."""

LAST_LINES = 15
BLOCK = 1024 * 1024

NOT_CACHED = ("./var/cache/apt/archives/*.deb", "./var/cache/apt/*.bin", "./var/lib/apt/lists/*_*", "./var/log/bootstrap.log")
"""Left out of a base image: what only the making of its files left behind."""


class ImageError(OperatorError):
    """An image that cannot be had; the text says what was tried."""


@dataclass(frozen=True)
class Entry:
    """One image that is wanted, and where it may come from. The module's documentation says what each field means."""

    name: str
    fallback: str | None = None
    id: str | None = None
    pull: str = "missing"
    archive: str | None = None
    context: str | None = None
    files: str | None = None
    digest: str | None = None
    rootfs: str | None = None
    arguments: Json = field(default_factory=dict)
    on_controller: bool = False
    pull_pauses: t.Sequence[float] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of an entry: `none`, `pull`, `load`, `build` or `import`; `missing` when the controller has to help."""

    name: str
    action: str
    reason: str = ""
    id: str = ""
    version: str = ""
    architecture: str = ""


def settle(engine: Engine, entry: Entry, check_mode: bool) -> Outcome:
    """Make the image present. In check mode nothing is done, and what would be is returned."""
    before = engine.image(entry.name)
    if entry.pull != "always":
        if is_current(before, entry):
            return _described(Outcome(entry.name, "none"), before)
        if before is None and entry.fallback:
            stand_in = engine.image(entry.fallback)
            if stand_in is not None:
                return _described(Outcome(entry.fallback, "none"), stand_in)
    action = way(entry)
    if action == "missing":
        return Outcome(entry.name, action, "It comes from files of the controller.")
    if action == "pull" and entry.pull == "never":
        raise ImageError(f"The engine at {engine.host} does not hold the image {entry.name}, and it may not be pulled. Allow that, or load it from an archive.")
    if check_mode:
        return Outcome(entry.name, action)
    reason = ACTS[action](engine, entry)
    if reason:
        return _without_registry(engine, entry, before, reason)
    after = engine.image(entry.name)
    _judge(after, entry)
    if action == "load":
        _judge_machine(engine, entry.name, before, after)
    if before is not None and after is not None:
        if before["Id"] == after["Id"]:
            action = "none"
        elif MADE_LABEL in _labels(before):
            _remove_replaced(engine, before["Id"])
    return _described(Outcome(entry.name, action), after)


def _judge(after: Json | None, entry: Entry) -> None:
    """Refuse what has come when it is not what is wanted."""
    if entry.id and (after or {}).get("Id") != entry.id:
        raise ImageError(
            f"The image {entry.name} is {(after or {}).get('Id')}, but {entry.id} is wanted: its source holds another one. Correct the id or the source."
        )
    if entry.archive and not is_current(after, entry):
        raise ImageError(f"The image {entry.name} from the archive was built from other files than those that are there now. Make the archive again.")


def _judge_machine(engine: Engine, name: str, before: Json | None, after: Json | None) -> None:
    """Refuse an archive's image that is for other machines, and leave none here that the next run would take for the right one."""
    here, there = engine.architecture(), (after or {}).get("Architecture")
    if not here or not there or here == there:
        return
    if before is None:
        with engine.doing(f"remove the image {name}"):
            engine.api.remove_image(name)
    raise ImageError(f"The image {name} from the archive is for {there}, and the engine runs on {here}. Pull or build it here, or make an archive on {here}.")


def way(entry: Entry) -> str:
    """How an image that is not there would be had: one of the actions of Outcome."""
    if entry.archive:
        return "load"
    if entry.rootfs:
        return "import"
    if entry.context or entry.files:
        return "build"
    return "missing" if entry.on_controller else "pull"


def is_current(image: Json | None, entry: Entry) -> bool:
    """Whether the image is there, is the very one that is wanted and, when it is built here, was built from what is there now."""
    if image is None:
        return False
    return entry.id in (None, image.get("Id")) and entry.digest in (None, _labels(image).get(DIGEST_LABEL))


def remove(engine: Engine, name: str, check_mode: bool) -> bool:
    """Remove an image that was built here; whether there was one."""
    if MADE_LABEL not in _labels(engine.image(name)):
        return False
    if not check_mode:
        with engine.doing(f"remove the image {name}"):
            engine.api.remove_image(name)
    return True


def prune(engine: Engine) -> None:
    """Remove what was built here and has lost its name to a newer one while containers still used it."""
    with engine.doing("remove replaced images"):
        engine.api.prune_images(filters={"dangling": True, "label": f"{MADE_LABEL}=image"})


def _remove_replaced(engine: Engine, identity: str) -> None:
    import docker.errors

    with engine.doing(f"remove the replaced image {identity}"):
        try:
            engine.api.remove_image(identity)
        except docker.errors.APIError as exc:
            # A container still runs from it, or it has another name.
            if exc.status_code not in (404, 409):
                raise


def _labels(image: Json | None) -> Json:
    return ((image or {}).get("Config") or {}).get("Labels") or {}


def _described(outcome: Outcome, image: Json | None) -> Outcome:
    found = image or {}
    return replace(outcome, id=found.get("Id", ""), version=_labels(image).get(VERSION_LABEL, ""), architecture=found.get("Architecture", ""))


def _without_registry(engine: Engine, entry: Entry, before: Json | None, reason: str) -> Outcome:
    """No registry answers: an image that is there will do when it is what is wanted; else the controller has to help."""
    if is_current(before, entry):
        return _described(Outcome(entry.name, "none", reason), before)
    if before is not None:
        raise ImageError(f"The image {entry.name} is {before.get('Id')}, but {entry.id} is wanted: {reason.rstrip('.')}. Load it from an archive.")
    stand_in = engine.image(entry.fallback) if entry.fallback else None
    if stand_in is not None:
        return _described(Outcome(str(entry.fallback), "none", reason), stand_in)
    return Outcome(entry.name, "missing", reason)


def _load(engine: Engine, entry: Entry) -> str:
    try:
        archive = open(str(entry.archive), "rb")  # noqa: SIM115
    except OSError as exc:
        raise ImageError(f"The archive {entry.archive} for the image {entry.name} cannot be read ({exc.strerror}). Copy it to the Docker host.") from exc
    with archive:
        _follow(engine, f"load the archive {entry.archive} for the image {entry.name}", lambda: engine.api.load_image(archive))
    if engine.image(entry.name) is None:
        raise ImageError(f"The archive {entry.archive} does not hold the image {entry.name}. Make it with: docker save {entry.name}")
    return ""


def _import(engine: Engine, entry: Entry) -> str:
    repository, tag = split_tag(entry.name)
    # Beside the folder: where the files of a system are, there is room for their archive.
    with engine.doing(f"import {entry.rootfs} as {entry.name}"), tempfile.TemporaryFile(dir=os.path.dirname(str(entry.rootfs))) as file:
        try:
            with tarfile.open(fileobj=file, mode="w") as tar:
                tar.add(str(entry.rootfs), arcname=".", filter=_kept)
        except OSError as exc:
            raise ImageError(f"The folder {entry.rootfs} cannot be made the image {entry.name}: {exc}. Run it again as root.") from exc
        file.seek(0)
        # Left to itself, requests sends what has no length line by line.
        blocks = iter(lambda: file.read(BLOCK), b"")
        answer = engine.api.import_image_from_stream(blocks, repository, tag, changes=[f"LABEL {MADE_LABEL}=image"])
    if engine.image(entry.name) is None:
        raise ImageError(f"The folder {entry.rootfs} could not be made the image {entry.name}: {str(answer).strip()[-300:]}")
    return ""


def _kept(file: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The file as it is in the image, or None for what is left out. Owners are numbers: their names are those of this host."""
    file.uname = file.gname = ""
    return None if any(fnmatch.fnmatch(file.name, pattern) for pattern in NOT_CACHED) else file


def _build(engine: Engine, entry: Entry) -> str:
    labels = {MADE_LABEL: "image", **({DIGEST_LABEL: entry.digest} if entry.digest else {})}
    arguments = {name: str(value) for name, value in entry.arguments.items()}
    with _context(entry) as folder:
        _follow(
            engine,
            f"build the image {entry.name}",
            lambda: engine.api.build(path=folder, tag=entry.name, buildargs=arguments, labels=labels, rm=True, forcerm=True, decode=True),
        )
    return ""


@contextmanager
def _context(entry: Entry) -> t.Iterator[str]:
    """The folder to build from; made for as long as it is needed when its files came with the call."""
    if not entry.files:
        if not os.path.isdir(str(entry.context)):
            raise ImageError(f"The folder {entry.context} to build the image {entry.name} from is not on the Docker host. Correct it, or copy it there.")
        yield str(entry.context)
        return
    with tempfile.TemporaryDirectory(suffix=".image") as folder:
        try:
            with tarfile.open(fileobj=io.BytesIO(base64.b64decode(entry.files, validate=True)), mode="r:gz") as tar:
                # Not every supported Python knows filters yet.
                if hasattr(tarfile, "data_filter"):
                    tar.extractall(folder, filter="data")
                else:
                    tar.extractall(folder)
        except (binascii.Error, tarfile.TarError, OSError, EOFError) as exc:
            raise ImageError(f"What the image {entry.name} is built from could not be unpacked in {folder}: {exc}. Make room there, or set TMPDIR.") from exc
        yield folder


def _pull(engine: Engine, entry: Entry) -> str:
    try:
        _pull_patiently(engine, entry)
    except EngineError as exc:
        unreachable = _unreachable(exc)
        if unreachable and (entry.fallback or entry.pull == "always"):
            return str(exc)
        advice = (
            "Load it from an archive, or name an image that is there."
            if unreachable
            else "Correct the name, log in to its registry, or load it from an archive."
        )
        raise ImageError(f"The image {entry.name} cannot be pulled: {str(exc).rstrip('.')}. {advice}") from exc
    return ""


def _pull_patiently(engine: Engine, entry: Entry) -> None:
    """Pull the image, again after each pause while no registry answers: what stands in for an image after one hiccup would stay."""
    for pause in entry.pull_pauses:
        try:
            return pull(engine, entry.name)
        except EngineError as exc:
            if not _unreachable(exc):
                raise
        time.sleep(pause)
    return pull(engine, entry.name)


def _unreachable(failure: EngineError) -> bool:
    return any(words in str(failure).lower() for words in UNREACHABLE)


def pull(engine: Engine, name: str) -> None:
    """Pull the image; EngineError with the engine's words when that fails."""
    repository, tag = split_tag(name)
    _follow(engine, f"pull the image {name}", lambda: engine.api.pull(repository, tag=tag, stream=True, decode=True))


def split_tag(image: str) -> tuple[str, str]:
    """Repository and tag or digest: `host:5000/a:1` as `host:5000/a` and `1`; `latest` when there is none."""
    if "@" in image:
        repository, _at, digest = image.partition("@")
        return repository, digest
    head, slash, tail = image.rpartition("/")
    name, _colon, tag = tail.partition(":")
    return f"{head}{slash}{name}", tag or "latest"


ACTS: t.Dict[str, t.Callable[[Engine, Entry], str]] = {"load": _load, "import": _import, "build": _build, "pull": _pull}
"""Each returns why it could not, when that is no error."""


def _follow(engine: Engine, what: str, start: t.Callable[[], t.Iterable[Json]]) -> None:
    """Read the engine's messages to their end. Its answer is long a success when one of them says that it failed."""
    lines: list[str] = []
    with engine.doing(what), _cut_off(engine, what):
        for message in start():
            lines += [line for line in str(message.get("stream", "")).splitlines() if line.strip()]
            if message.get("error"):
                tail = "".join(f"\n{line}" for line in lines[-LAST_LINES:])
                raise EngineError(
                    f"The Docker engine at {engine.host} could not {what}: {str(message['error']).strip()}" + (f" The last lines:{tail}" if tail else "")
                )


@contextmanager
def _cut_off(engine: Engine, what: str) -> t.Iterator[None]:
    """While messages are read, an engine that falls silent or dies shows below the SDK's own errors."""
    import urllib3.exceptions

    try:
        yield
    except urllib3.exceptions.ReadTimeoutError as exc:
        raise EngineError(f"The Docker engine at {engine.host} said nothing for {engine.timeout:g} s when told to {what}. Raise the timeout.") from exc
    except urllib3.exceptions.HTTPError as exc:
        raise EngineError(f"The Docker engine at {engine.host} stopped when told to {what}: {exc}. Look into its log.") from exc
