# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that are made, judged and made anew; keys that are there are used."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import datetime
import pathlib
import ssl
import stat
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul.certificates import CertificateError, Request, make, problem
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NAMES = ("DNS:server.dc1.consul", "DNS:localhost", "IP:127.0.0.1", "IP:fd00::1", "URI:spiffe://dc1/server1")
ALL = ["ca.key", "ca.pem", "servers/server1.key", "servers/server1.pem"]
KEYS: dict[str, t.Callable[[], t.Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ec": lambda: ec.generate_private_key(ec.SECP384R1()),
}


def request_in(folder: pathlib.Path, **given: t.Any) -> Request:
    wanted = Request(folder=str(folder), name="server1", common_name="server.dc1.consul", names=NAMES, authority_name="Consul dc1")
    return dataclasses.replace(wanted, **given)


def pem(key: t.Any) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def read(path: pathlib.Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_first_run_makes_an_authority_and_a_certificate_that_a_client_trusts(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "deep" / "dc1"
    made = make(request_in(folder))
    assert (made.created, made.written) == (ALL, ALL)
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "servers")} == {0o700}
    authority, own = read(folder / "ca.pem"), read(folder / "servers" / "server1.pem")
    own.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, None)
    alternatives = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["server.dc1.consul", "localhost"]
    assert [str(one) for one in alternatives.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "fd00::1"]
    now = datetime.datetime.now(datetime.timezone.utc)
    assert own.not_valid_before_utc < now - datetime.timedelta(hours=23) and own.not_valid_after_utc > now + datetime.timedelta(days=396)
    assert shaken(folder) == "TLSv1.3"


def shaken(folder: pathlib.Path) -> str | None:
    """What a client that knows the authority, and a server with the certificate, agree on."""
    there, here, back, forth = (ssl.MemoryBIO() for _bio in range(4))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "servers" / "server1.pem", folder / "servers" / "server1.key")
    client = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    one = server.wrap_bio(there, back, server_side=True)
    other = client.wrap_bio(here, forth, server_hostname="server.dc1.consul")
    for _round in range(4):
        for side, incoming, outgoing in ((other, here, back), (one, there, forth)):
            incoming.write(outgoing.read())
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return other.version()


def test_a_second_run_makes_nothing(tmp_path: pathlib.Path) -> None:
    make(request_in(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert make(request_in(tmp_path)).written == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_check_mode_says_what_would_be_made_and_makes_nothing(tmp_path: pathlib.Path) -> None:
    assert make(request_in(tmp_path / "dc1"), check_mode=True).created == ALL
    assert not (tmp_path / "dc1").exists()


def test_servers_that_come_at_the_same_time_have_one_authority(tmp_path: pathlib.Path) -> None:
    names = [f"server{number}" for number in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda name: make(request_in(tmp_path, name=name)), names))
    assert sorted(file for one in made for file in one.created if file.startswith("ca")) == ["ca.key", "ca.pem"]
    for name in names:
        read(tmp_path / "servers" / f"{name}.pem").verify_directly_issued_by(read(tmp_path / "ca.pem"))


@pytest.mark.parametrize("kind", KEYS)
def test_keys_that_are_there_are_used_whatever_their_kind_is(tmp_path: pathlib.Path, kind: str) -> None:
    (tmp_path / "servers").mkdir()
    keys = {name: KEYS[kind]() for name in ("ca", "servers/server1")}
    for name, key in keys.items():
        (tmp_path / f"{name}.key").write_text(pem(key))
    assert make(request_in(tmp_path)).created == ["ca.pem", "servers/server1.pem"]
    for name, key in keys.items():
        assert (tmp_path / f"{name}.key").read_text() == pem(key)
        assert read(tmp_path / f"{name}.pem").public_key() == key.public_key()
    read(tmp_path / "servers" / "server1.pem").verify_directly_issued_by(read(tmp_path / "ca.pem"))


def test_texts_that_are_given_are_used_and_not_written(tmp_path: pathlib.Path) -> None:
    make(request_in(tmp_path / "theirs"))
    texts = {"authority": "ca.pem", "authority_key": "ca.key", "key": "servers/server1.key"}
    given = {option: (tmp_path / "theirs" / name).read_text() for option, name in texts.items()}
    assert make(request_in(tmp_path / "ours", **given)).created == ["servers/server1.pem"]
    assert problem((tmp_path / "ours/servers/server1.pem").read_text(), given["authority"], NAMES) == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"names": (*NAMES, "IP:10.0.0.9")}, "is not for IP:10.0.0.9"),
        ({"names": (*NAMES, "DNS:new.example.org", "IP:10.0.0.9")}, "is not for DNS:new.example.org, IP:10.0.0.9"),
    ],
)
def test_other_names_make_the_certificate_anew_and_not_its_key(tmp_path: pathlib.Path, change: dict[str, t.Any], why: str) -> None:
    make(request_in(tmp_path))
    key = (tmp_path / "servers/server1.key").read_bytes()
    changed = request_in(tmp_path, **change)
    assert problem((tmp_path / "servers/server1.pem").read_text(), (tmp_path / "ca.pem").read_text(), changed.names) == why
    made = make(changed)
    assert (made.created, made.written) == ([], ["servers/server1.pem"])
    assert (tmp_path / "servers/server1.key").read_bytes() == key
    assert make(changed).written == []


def test_what_is_wrong_with_a_certificate_is_said(tmp_path: pathlib.Path) -> None:
    make(request_in(tmp_path / "a"))
    make(request_in(tmp_path / "b"))
    own, authority, other = ((tmp_path / name).read_text() for name in ("a/servers/server1.pem", "a/ca.pem", "b/ca.pem"))
    later = datetime.datetime.now(datetime.timezone.utc)
    assert problem(own, authority, NAMES, later + datetime.timedelta(days=366)) == ""
    assert problem(own, authority, NAMES, later + datetime.timedelta(days=368)) == "ends within 30 days"
    assert problem(own, other, NAMES) == "is signed by another authority"
    assert problem("", authority, NAMES) == "is missing"
    assert problem("not one", authority, NAMES) == "cannot be read as a certificate"


def test_without_a_key_to_sign_with_nothing_is_made_and_it_is_said_what_to_do(tmp_path: pathlib.Path) -> None:
    make(request_in(tmp_path))
    (tmp_path / "ca.key").unlink()
    assert make(request_in(tmp_path)).written == [], "a certificate that is good needs no signature"
    before = (tmp_path / "servers/server1.pem").read_bytes()
    with pytest.raises(CertificateError, match=r"server1.pem is not for IP:10.0.0.9, and .* has no ca.key to sign one with. Put the certificate"):
        make(request_in(tmp_path, names=(*NAMES, "IP:10.0.0.9")))
    assert (tmp_path / "servers/server1.pem").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"authority_key": "$ANSIBLE_VAULT;1.1;AES256"}, "The authority's key cannot be read"),
        ({"key": "nothing"}, "The key of server1 cannot be read"),
        ({"authority": "nothing"}, "The authority's certificate cannot be read"),
        ({"authority_key": pem(KEYS["ec"]())}, "does not belong to the authority's certificate"),
        ({"names": ("email:me@example.org",)}, "A certificate cannot be for 'email:me@example.org'"),
        ({"names": ("IP:10.0.0",)}, "A certificate cannot be for 'IP:10.0.0'"),
        ({"names": ("DNS:bücher.example.org",)}, "A certificate cannot be for 'DNS:bücher.example.org'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence_that_shows_no_secret(tmp_path: pathlib.Path, given: dict[str, t.Any], said: str) -> None:
    make(request_in(tmp_path))
    (tmp_path / "servers/server1.pem").unlink()
    with pytest.raises(CertificateError) as failure:
        make(request_in(tmp_path, **given))
    assert said in str(failure.value)
    assert "PRIVATE" not in str(failure.value) and "nothing" not in str(failure.value)
    assert not (tmp_path / "servers/server1.pem").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match=r"file/dc1.* cannot be used"):
        make(request_in(tmp_path / "file" / "dc1"))
