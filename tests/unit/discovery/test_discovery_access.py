# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens, certificates and addresses."""

from __future__ import annotations

import functools
import os
import pathlib
import socket
import ssl
import subprocess
import typing as t

import pytest
from consul_discovery import Client, ConfigurationError, follower, pace
from consul_discovery.environment import from_environment
from consul_discovery.token import Token
from fake_consul import FakeConsul, entry, eventually, http

Connect = t.Callable[..., Client]
SECRET = "d7a3c2f0-7d2e-4c59-8f8a-secret"


def tokens(consul: FakeConsul) -> t.List[t.Optional[str]]:
    return [request.headers.get("x-consul-token") for request in consul.requests]


def test_a_token_is_sent_and_shown_nowhere(consul: FakeConsul, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    consul.script = lambda _unused: http(f"Permission denied: token {SECRET} lacks it".encode(), 403)
    client = connect(token=SECRET)
    web = client.watch("web")
    eventually(lambda: web.problem)
    assert set(tokens(consul)) == {SECRET}
    assert "token (token) lacks it" in web.problem
    shown = [repr(client), repr(web), repr(client._agent.token), web.problem, caplog.text, *(str(request.query) + request.path for request in consul.requests)]
    assert SECRET not in "".join(shown)


def test_no_token_is_no_header(consul: FakeConsul, connect: Connect) -> None:
    connect().watch("web").wait(5)
    assert set(tokens(consul)) == {None}


def test_a_token_file_is_read_again_when_it_changes(consul: FakeConsul, connect: Connect, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    consul.set(entry())
    web = connect(token_file=str(file)).watch("web")
    web.wait(5)
    file.write_text("second\n")
    consul.set(entry("x"))
    eventually(lambda: tokens(consul)[-1] == "second")
    file.unlink()
    consul.set(entry("y"))
    eventually(lambda: web.instances[0].id == "y")
    assert tokens(consul)[-1] == "second" and web.problem == "", "while the file is being exchanged, the last one is good enough"


def test_a_token_file_may_come_later(monkeypatch: pytest.MonkeyPatch, consul: FakeConsul, connect: Connect, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(follower, "Backoff", functools.partial(pace.Backoff, 0.02, 0.2))
    file = tmp_path / "token"
    web = connect(token_file=str(file)).watch("web")
    eventually(lambda: web.problem == f"The token file {file} cannot be read: No such file or directory")
    file.write_bytes(b"\xff\n")
    eventually(lambda: "UnicodeDecodeError" in web.problem)
    file.write_text("two words")
    eventually(lambda: "holds no token" in web.problem)
    assert consul.requests == []
    file.write_text("good")
    web.wait(5)
    eventually(lambda: set(tokens(consul)) == {"good"})


@pytest.mark.parametrize("token", ["two words", "a\nX-Other: b", "ü", "\x00"])
def test_what_can_be_no_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^The token holds no token: one word of printable ASCII is expected\.$"):
        Client(token=token)


def test_a_token_and_a_file_are_one_too_many() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        Token("a", "/file")


def openssl(folder: pathlib.Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A CA, and a server's and a client's certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj")
    openssl(folder, *new, "/CN=ca", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-addext", "keyUsage=critical,keyCertSign")
    for name, san in (("server", "IP:127.0.0.1"), ("named", "DNS:server.dc1.consul"), ("client", "DNS:client")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={san}\nauthorityKeyIdentifier=keyid\n")
        openssl(folder, *new, f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1",
                "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip
    return folder


def secured(folder: pathlib.Path, name: str = "server") -> FakeConsul:
    """Return an agent that wants certificates of its clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return FakeConsul(wrap=lambda sock: context.wrap_socket(sock, server_side=True))


@pytest.mark.parametrize("name", ["server", "named"])
def test_tls_with_client_certificates(certificates: pathlib.Path, connect: Connect, name: str) -> None:
    agent = secured(certificates, name)
    agent.set(entry())
    options = {option: str(certificates / file) for option, file in (("ca_file", "ca.pem"), ("client_cert", "client.pem"), ("client_key", "client.key"))}
    url = agent.url.replace("http", "https")
    client = connect(url=url, **options, **({"tls_server_name": "server.dc1.consul"} if name == "named" else {}))
    web = client.watch("web")
    web.wait(5)
    agent.set(entry("b"))
    eventually(lambda: web.instances[0].id == "b")
    client.close()  # interrupts a read within TLS
    without = connect(url=url, ca_file=options["ca_file"], tls_server_name="server.dc1.consul" if name == "named" else None).watch("web")
    eventually(lambda: without.problem)
    other = connect(url=url).watch("web")
    eventually(lambda: "shows a certificate that is not trusted" in other.problem)
    agent.stop()


def test_a_certificate_for_another_name_is_not_trusted(certificates: pathlib.Path, connect: Connect) -> None:
    agent = secured(certificates, "named")
    web = connect(url=agent.url.replace("http", "https"), ca_file=str(certificates / "ca.pem")).watch("web")
    eventually(lambda: "IP address mismatch" in web.problem)
    agent.stop()


def test_a_handshake_that_hangs_does_not_delay_closing(connect: Connect, certificates: pathlib.Path) -> None:
    import time

    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(url=f"https://127.0.0.1:{listener.getsockname()[1]}", ca_file=str(certificates / "ca.pem"))
        client.watch("web")
        connection, _unused = listener.accept()
        assert connection.recv(1) == b"\x16"
        began = time.monotonic()
        client.close()
        assert time.monotonic() - began < 1
        connection.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "https://x", "ca_file": "/missing"}, "The CA file /missing cannot be used: .*No such file"),
        ({"url": "https://x", "client_cert": "/missing"}, "The client certificate /missing with key None cannot be used"),
        ({"url": "http://x", "ca_file": "/missing"}, "is not reached by https://"),
        ({"url": "ftp://x"}, "http://, https:// or unix://"),
        ({"url": "http://user:pw-secret@x"}, "must hold no user or password"),
        ({"url": "http://x?token=pw-secret"}, "must hold no query"),
        ({"url": "http://x:99999"}, "Port out of range"),
        ({"url": "http://"}, "names no host"),
        ({"url": "unix://relative"}, "names no socket"),
        ({"wait": 0}, "from 1 to 600 seconds"),
        ({"wait": float("nan")}, "from 1 to 600 seconds"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(options: t.Dict[str, t.Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as error:
        Client(**options)
    assert "pw-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("10.0.0.1:9500", "http://10.0.0.1:9500"),
        ("http://[::1]", "http://[::1]:8500"),
        ("https://consul", "https://consul:8501"),
        ("http://proxy/consul/", "http://proxy:8500/consul"),
        ("unix:///run/consul.sock", "unix:///run/consul.sock"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    client = Client(url)
    assert repr(client) == f"<Client {shown}: 0 watches>"
    client.close()


def test_a_prefix_and_a_datacenter(consul: FakeConsul, connect: Connect) -> None:
    connect(url=f"{consul.url}/consul/", datacenter="dc2").watch("web")
    eventually(lambda: consul.requests)
    assert consul.requests[0].path == "/consul/v1/health/service/web" and consul.requests[0].query == {"dc": ["dc2"]}


def test_the_variables_of_consuls_own_command(consul: FakeConsul, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_environment({"CONSUL_HTTP_ADDR": "h:1", "CONSUL_HTTP_SSL": "true", "CONSUL_CACERT": "/ca", "CONSUL_HTTP_TOKEN": ""}) == {
        "url": "https://h:1",
        "ca_file": "/ca",
    }
    assert from_environment({"CONSUL_HTTP_TOKEN": "t", "CONSUL_HTTP_TOKEN_FILE": "/f"}) == {"token_file": "/f"}
    monkeypatch.setitem(os.environ, "CONSUL_HTTP_ADDR", consul.url)
    with Client.from_environment(token="given") as client:
        client.watch("web").wait(5)
    assert tokens(consul)[0] == "given"
