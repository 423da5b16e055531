# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Snapshots of a cluster, between its HTTP API and a file: streamed, private, and judged as Consul itself judges them.

A snapshot is a gzipped tar: what it is of (`meta.json`), the data (`state.bin`), and the checksums of both (`SHA256SUMS`).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import os
import tarfile
import tempfile
import typing as t
import zlib
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import open_url
from ansible_collections.discovery.consul.plugins.module_utils._consul import versions
from ansible_collections.discovery.consul.plugins.module_utils._consul.api import NO_LEADER, ApiError, LeaderlessError, done
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client, split

Json = t.Dict[str, t.Any]

PATH = "/v1/snapshot"
META, STATE, SUMS = "meta.json", "state.bin", "SHA256SUMS"

BLOCK = 1024 * 1024
LONGEST_SMALL = 64 * 1024

# A follower that passes on what the leader sends may find the connection closed before its end (hashicorp/consul#6893).
TRIES = 4


class SnapshotError(ApiError):
    """A file that is no whole snapshot, or that cannot be read or written; the text says which and why."""


def transfer(client: Client, options: Json, check_mode: bool) -> Json:
    """Save or restore, or judge in check mode what would be restored."""
    release = _release(client)
    if options["state"] == "saved":
        return {"changed": True, "release": release, **({} if check_mode else save(options))}
    taken = options["release"]
    if taken and versions.parse(taken)[:2] != versions.parse(release)[:2]:
        raise ApiError(
            f"The snapshot is of Consul {taken}, and the cluster runs {release}. Consul restores what was taken from the same release only. "
            f"Restore it into a cluster of {taken}, and upgrade that one."
        )
    return {"changed": True, "release": release, **(read if check_mode else restore)(options)}


def save(options: Json) -> Json:
    """Write a snapshot to a file, which is whole or not there, and nobody else's to read; what it is of."""
    path = options["path"]
    folder = os.path.dirname(os.path.abspath(path))
    with _files(path):
        descriptor, staged = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(path)}.")
        try:
            with os.fdopen(descriptor, "w+b") as file:
                taken = _taken(options, file)
                os.fsync(descriptor)
            os.replace(staged, path)
        except BaseException:
            os.remove(staged)
            raise
    return {**taken, "size": os.path.getsize(path)}


def restore(options: Json) -> Json:
    """Make the data of the cluster those in the file."""
    with _files(options["path"]), open(options["path"], "rb") as file:
        held = _inspected(options["path"], file)
        file.seek(0)
        headers = {"Content-Length": str(os.fstat(file.fileno()).st_size), "Content-Type": "application/octet-stream"}
        with _call(options, "take the snapshot", "PUT", data=file, headers=headers):
            return held


def read(options: Json) -> Json:
    """What the snapshot in the file is of."""
    with _files(options["path"]), open(options["path"], "rb") as file:
        return _inspected(options["path"], file)


def inspect(file: t.IO[bytes]) -> Json:
    """`index` and `term` of a snapshot whose checksums are right."""
    found: dict[str, str] = {}
    small: dict[str, bytes] = {}
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for entry in archive:
                    content = archive.extractfile(entry) if entry.isfile() and entry.name in (META, STATE, SUMS) else None
                    if content is not None:
                        found[entry.name], small[entry.name] = _digest(content)
            # At its very end gzip has a checksum of the whole.
            for _rest in iter(lambda: unpacked.read(BLOCK), b""):
                pass
        meta = json.loads(small[META])
        sums = [line.split() for line in small[SUMS].decode().splitlines()]
        wrong = [name for name in (META, STATE) if [found[name], name] not in sums]
        result = {"index": int(meta["Index"]), "term": int(meta["Term"])}
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, KeyError, TypeError) as exc:
        raise SnapshotError(f"It is no whole snapshot of Consul ({type(exc).__name__}: {exc}).") from exc
    if wrong:
        raise SnapshotError(f"It is no whole snapshot of Consul: the checksum of {wrong[0]} is wrong.")
    return result


def _inspected(path: str, file: t.IO[bytes]) -> Json:
    try:
        return {**inspect(file), "size": os.fstat(file.fileno()).st_size}
    except SnapshotError as exc:
        raise SnapshotError(f"{path}: {exc} Nothing was changed. Give another one.") from exc


def _release(client: Client) -> str:
    answer = done(client, lambda: client.get("/v1/agent/self"), "say which release it is", "agent:read")
    return str((answer.data.get("Config") or {}).get("Version") or "")


def _taken(options: Json, file: t.IO[bytes]) -> Json:
    for left in reversed(range(TRIES)):
        try:
            return _download(options, file)
        except SnapshotError as exc:
            if not left:
                raise SnapshotError(f"{options['url']} gave no whole snapshot, {TRIES} times. {exc} Ask the leader, or see the agent's log.") from exc
    raise AssertionError


def _download(options: Json, file: t.IO[bytes]) -> Json:
    file.seek(0)
    file.truncate()
    with _call(options, "give a snapshot", "GET", query="?stale" if options["stale"] else "") as answer:
        for block in _blocks(answer):
            file.write(block)
    file.flush()
    file.seek(0)
    return inspect(file)


def _blocks(answer: t.Any) -> t.Iterator[bytes]:
    while True:
        try:
            block = answer.read(BLOCK)
        except (http.client.HTTPException, OSError) as exc:
            raise SnapshotError(f"The connection ended before the snapshot did ({exc}).") from exc
        if not block:
            return
        yield block


@contextlib.contextmanager
def _call(options: Json, what: str, method: str, query: str = "", data: t.Any = None, headers: Json | None = None) -> t.Iterator[t.Any]:
    """The answer to one call of the snapshot's endpoint, as a stream."""
    split(options["url"])
    url = f"{options['url'].rstrip('/')}{PATH}{query}"
    token = {"X-Consul-Token": options["token"]} if options["token"] else {}
    try:
        # Neither a proxy of the environment nor another address gets the token.
        answer = open_url(
            url,
            data=data,
            method=method,
            headers={**token, **(headers or {})},
            timeout=options["timeout"],
            ca_path=options["ca_cert"],
            use_proxy=False,
            use_netrc=False,
            follow_redirects="no",
            decompress=False,
        )
    except HTTPError as exc:
        with exc:
            words = exc.read(LONGEST_SMALL).decode(errors="replace").strip()
        error = LeaderlessError if any(one in words for one in NO_LEADER) else ApiError
        advice = " Give a management token." if exc.code == 403 else ""
        raise error(f"Consul did not {what}: {url}: status {exc.code}, {words[:200]}.{advice}") from exc
    except (URLError, OSError, http.client.HTTPException, ValueError) as exc:
        raise ApiError(f"Consul did not {what}: {url}: {getattr(exc, 'reason', exc)}. See that the agent runs and that url and ca_cert are right.") from exc
    with contextlib.closing(answer):
        yield answer


@contextlib.contextmanager
def _files(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise SnapshotError(f"{path} cannot be read or written ({exc.strerror or exc}). Name a file in a folder that is there and has room.") from exc


def _digest(content: t.IO[bytes]) -> tuple[str, bytes]:
    """The checksum of a part of the archive, and its beginning."""
    digest, begins = hashlib.sha256(), b""
    for block in iter(lambda: content.read(BLOCK), b""):
        digest.update(block)
        begins = begins or block[:LONGEST_SMALL]
    return digest.hexdigest(), begins
