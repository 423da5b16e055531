# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A snapshot is whole or not there, nobody else's to read, and judged before anything is restored."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pathlib
import tarfile
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import api, snapshot
from ansible_collections.discovery.consul.plugins.module_utils._consul.client import Client

Json = t.Dict[str, t.Any]

META = json.dumps({"Version": 1, "ID": "2-30-1", "Index": 30, "Term": 2}).encode()


def archive(state: bytes = b"state" * 9999, **wrong: bytes) -> bytes:
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in (("meta.json", META), ("state.bin", state)))
    parts = {"meta.json": META, "state.bin": state, "SHA256SUMS": sums.encode(), **{name.replace("_", "."): content for name, content in wrong.items()}}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


class Agent:
    """Answers each question for a snapshot with the next of `answers`, and keeps what is put. It says no length, as Consul does."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None]] = []
        self.put: list[bytes] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: t.Any) -> None:
                pass

            def do_GET(self) -> None:
                if self.path == "/v1/agent/self":
                    self._send(200, json.dumps({"Config": {"Version": "1.8.7"}}).encode())
                else:
                    self._send(*self._next())

            def do_PUT(self) -> None:
                agent.put.append(self.rfile.read(int(self.headers["Content-Length"])))
                self._send(*self._next())

            def _next(self) -> tuple[int, bytes]:
                agent.asked.append((self.path, self.headers.get("X-Consul-Token")))
                return agent.answers.pop(0) if agent.answers else (200, archive())

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def transfer(agent: Agent, path: pathlib.Path, state: str = "saved", check_mode: bool = False, **options: t.Any) -> Json:
    given = {"url": agent.url, "token": "t", "ca_cert": None, "timeout": 10, "stale": False, "release": None, "path": str(path), "state": state, **options}
    return snapshot.transfer(t.cast(Client, Client(agent.url, "t")), given, check_mode)


def test_what_is_saved_is_whole_and_private(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.snap"
    with Agent() as agent:
        saved = transfer(agent, path)
    assert saved == {"changed": True, "release": "1.8.7", "index": 30, "term": 2, "size": path.stat().st_size}
    assert path.read_bytes() == archive() or gzip.decompress(path.read_bytes()) == gzip.decompress(archive())
    assert path.stat().st_mode & 0o777 == 0o600
    assert agent.asked == [("/v1/snapshot", "t")]


def test_one_server_gives_what_it_has(tmp_path: pathlib.Path) -> None:
    with Agent() as agent:
        transfer(agent, tmp_path / "a.snap", stale=True)
    assert agent.asked == [("/v1/snapshot?stale", "t")]


@pytest.mark.parametrize(
    "cut",
    [archive()[:-1], archive()[:300], b"", b"not gzip at all", gzip.compress(b"no tar")],
    ids=["without its last byte", "its beginning", "nothing", "no gzip", "no tar"],
)
def test_what_is_not_whole_is_asked_for_again(tmp_path: pathlib.Path, cut: bytes) -> None:
    path = tmp_path / "a.snap"
    with Agent((200, cut), (200, cut)) as agent:
        transfer(agent, path)
        assert len(agent.asked) == 3
    assert snapshot.read({"path": str(path)})["index"] == 30


def test_where_none_is_whole_what_was_there_stays(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.snap"
    path.write_text("yesterday's")
    with Agent(*[(200, archive()[:-9])] * 4) as agent, pytest.raises(snapshot.SnapshotError, match=r"gave no whole snapshot, 4 times\. It is no whole"):
        transfer(agent, path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.snap", "yesterday's")]


@pytest.mark.parametrize(
    ("status", "words", "error", "said"),
    [
        (403, b"Permission denied", api.ApiError, r"status 403, Permission denied\. Give a management token"),
        (500, b"rpc error: No cluster leader", api.LeaderlessError, "status 500, rpc error: No cluster leader"),
    ],
)
def test_a_refusal_is_a_sentence_and_leaves_nothing(tmp_path: pathlib.Path, status: int, words: bytes, error: type[Exception], said: str) -> None:
    with Agent((status, words)) as agent, pytest.raises(error, match=said):
        transfer(agent, tmp_path / "a.snap")
    assert list(tmp_path.iterdir()) == []


def test_check_mode_saves_nothing_and_judges_what_would_be_restored(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.snap"
    with Agent() as agent:
        assert transfer(agent, path, check_mode=True) == {"changed": True, "release": "1.8.7"}
        assert not path.exists()
        path.write_bytes(archive())
        assert transfer(agent, path, "restored", check_mode=True)["index"] == 30
        path.write_bytes(archive()[:-1])
        with pytest.raises(snapshot.SnapshotError, match="Nothing was changed"):
            transfer(agent, path, "restored", check_mode=True)
    assert agent.asked == []


def test_what_is_restored_is_the_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.snap"
    path.write_bytes(archive())
    with Agent((200, b"")) as agent:
        assert transfer(agent, path, "restored", release="1.8.7+dfsg1")["changed"]
    assert agent.put == [path.read_bytes()]


@pytest.mark.parametrize("bad", [archive(state_bin=b"another"), archive(meta_json=b"{}"), archive()[:300], b""])
def test_what_is_not_whole_is_not_restored(tmp_path: pathlib.Path, bad: bytes) -> None:
    path = tmp_path / "a.snap"
    path.write_bytes(bad)
    with Agent() as agent, pytest.raises(snapshot.SnapshotError, match="It is no whole snapshot of Consul"):
        transfer(agent, path, "restored")
    assert agent.put == []


def test_a_snapshot_of_another_release_is_not_restored(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.snap"
    path.write_bytes(archive())
    with Agent() as agent, pytest.raises(api.ApiError, match=r"The snapshot is of Consul 1\.10\.12, and the cluster runs 1\.8\.7"):
        transfer(agent, path, "restored", release="1.10.12")
    assert agent.put == []


@pytest.mark.parametrize("state", ["saved", "restored"])
def test_a_path_that_is_not_there_is_a_sentence(tmp_path: pathlib.Path, state: str) -> None:
    with Agent() as agent, pytest.raises(snapshot.SnapshotError, match=rf"^{tmp_path}/none/a\.snap cannot be read or written \(No such file"):
        transfer(agent, tmp_path / "none" / "a.snap", state)
