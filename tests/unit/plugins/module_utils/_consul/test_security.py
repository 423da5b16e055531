# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What secures a node: how it is written, what is refused, and what must not change without a word."""

from __future__ import annotations

import datetime
import json
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.discovery.consul.plugins.module_utils._consul import config, security
from ansible_collections.discovery.consul.plugins.modules import consul_agent
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Json = t.Dict[str, t.Any]

KEY, OTHER = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def pair(folder: pathlib.Path, name: str, *more: str) -> tuple[str, str]:
    """A certificate that signed itself, and its key."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:server.dc1.consul", *more]
    subprocess.run(["openssl", "req", "-x509", *curve, "-keyout", key, "-out", certificate, *names], check=True, capture_output=True)
    return certificate.read_text(), key.read_text()


def signed_by(folder: pathlib.Path, authority: str) -> tuple[str, str]:
    """A certificate that another one in the folder signed, and its key."""
    return pair(folder, "leaf", "-CA", str(folder / f"{authority}.pem"), "-CAkey", str(folder / f"{authority}.key"), "-addext", "basicConstraints=CA:FALSE")


def expired() -> tuple[str, str]:
    """One that was good for a day, long ago: openssl makes no such certificates."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ended")])
    begins = datetime.datetime(2020, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, begins + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), private.decode()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Json:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = pair(folder, "one")
    other, other_key = pair(folder, "two")
    leaf, leaf_key = signed_by(folder, "two")
    ended, ended_key = expired()
    return {
        **{"ca": certificate, "key": key, "other": other, "other_key": other_key, "leaf": leaf, "leaf_key": leaf_key},
        **{"ended": ended, "ended_key": ended_key},
    }


def options(**given: t.Any) -> Json:
    return {**{name: argument.get("default") for name, argument in consul_agent.ARGUMENTS.items()}, **given}


def test_nothing_given_is_an_open_agent() -> None:
    assert security.settings(options(), "/c") == {}
    assert security.files(options()) == {}
    assert list(security.problems(options())) == []


def test_a_server_verifies_whoever_calls_it(tls: Json) -> None:
    given = options(server=True, tls_ca=tls["ca"], tls_certificate=tls["ca"], tls_key=tls["key"], auto_encrypt=True, acl_default_policy="deny")
    assert list(security.problems(given)) == []
    for release, path in (((1, 8, 7), "verify_incoming_rpc"), ((1, 22, 6), "tls.internal_rpc.verify_incoming")):
        flat = config.flatten(config.build(security.settings(given, "/c"), {}, release))
        assert flat[path] is True
        assert flat["acl.enabled"] is True
        assert flat["auto_encrypt.allow_tls"] is True
        assert flat["ports.https"] == 8501
    assert set(security.files(given)) == {"ca.pem", "certificate.pem", "key.pem"}


@pytest.mark.parametrize("given", [{}, {"server": True}, {"datacenter": "dc2"}, {"server": True, "datacenter": "dc2", "verify_server_hostname": False}])
def test_what_an_authority_signed_is_good(tls: Json, given: Json) -> None:
    assert list(security.problems(options(tls_ca=tls["ca"] + tls["other"], tls_certificate=tls["leaf"], tls_key=tls["leaf_key"], **given))) == []


def test_an_authority_that_another_one_signed_is_good(tls: Json) -> None:
    assert list(security.problems(options(tls_ca=tls["leaf"], tls_certificate=tls["leaf"], tls_key=tls["leaf_key"], server=True))) == []


def test_a_client_has_its_certificate_signed_and_serves_no_https(tls: Json) -> None:
    found = security.settings(options(tls_ca=tls["ca"], auto_encrypt=True), "/c")
    assert found["auto_encrypt_tls"] is True
    assert "ports" not in found
    assert "cert_file" not in found


def test_the_way_there_can_be_lenient(tls: Json) -> None:
    found = security.settings(options(tls_ca=tls["ca"], verify_incoming=False), "/c")
    assert (found["verify_incoming"], found["verify_outgoing"]) == (False, True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"encrypt": "not base64!"}, "encrypt is not base64"),
        ({"encrypt": "c2hvcnQ="}, "encrypt holds 5 bytes; a gossip key has 32"),
        ({"tls_ca": "ca", "tls_certificate": "ca"}, "tls_certificate and tls_key go together"),
        ({"auto_encrypt": True}, "auto_encrypt needs tls_ca"),
        ({"verify_incoming": True}, "verify_incoming needs tls_ca"),
        ({"tls_ca": "ca", "server": True}, "A server with tls_ca needs a certificate of its own"),
        ({"tls_ca": "nonsense"}, "tls_ca holds no certificate in PEM"),
        ({"tls_ca": "ca", "tls_certificate": "ca", "tls_key": "other_key"}, "are no pair in PEM"),
        ({"tls_ca": "ca", "tls_certificate": "leaf", "tls_key": "leaf_key"}, "The other nodes would refuse tls_certificate: unable to get local issuer"),
        ({"tls_ca": "ended", "tls_certificate": "ended", "tls_key": "ended_key"}, "The other nodes would refuse tls_certificate: certificate has expired"),
        (
            {"tls_ca": "other", "tls_certificate": "leaf", "tls_key": "leaf_key", "server": True, "datacenter": "dc2"},
            "signed for server.dc2.consul",
        ),
        ({"acl_agent_token": "x"}, "acl_agent_token means nothing without ACLs"),
    ],
)
def test_bad_options_are_sentences(tls: Json, given: Json, words: str) -> None:
    found = list(security.problems(options(**{name: tls.get(value, value) if isinstance(value, str) else value for name, value in given.items()})))
    assert any(words in problem for problem in found), found
    assert not any(tls["other_key"] in problem for problem in found)


def keyring(folder: pathlib.Path, *keys: str) -> str:
    path = folder / security.KEYRING
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(keys))
    return str(folder)


@pytest.mark.parametrize(
    ("given", "keys", "current", "words"),
    [
        ({"encrypt": KEY}, (OTHER,), {}, "It has another gossip key"),
        ({"encrypt": KEY}, (), {"encrypt": OTHER}, "It has another gossip key"),
        ({}, (OTHER,), {}, "It has a gossip key, and goes on to encrypt"),
        ({"acl_management_token": "a"}, (), {"acl.tokens.master": "b"}, "It has another management token"),
        ({"acl_management_token": "a"}, (), {"acl.tokens.initial_management": "b"}, "It has another management token"),
        ({"encrypt": KEY, "server": True}, (), {"server": True}, "It runs without encryption (gossip) so far"),
        ({}, (), {"acl.default_policy": "deny"}, "without ACLs it would let everybody do everything"),
    ],
)
def test_what_consul_would_keep_without_a_word_is_refused(tmp_path: pathlib.Path, given: Json, keys: tuple[str, ...], current: Json, words: str) -> None:
    data = keyring(tmp_path, *keys) if keys else ""
    found = list(security.conflicts(options(**given), current, {}, data))
    assert any(words in problem for problem in found), found
    assert not any(secret in problem for problem in found for secret in (KEY, OTHER))


@pytest.mark.parametrize(
    ("given", "keys", "current"),
    [
        ({"encrypt": KEY}, (KEY,), {"encrypt": KEY}),
        ({"encrypt": KEY}, (OTHER, KEY), {}),
        ({"encrypt": KEY}, (), {}),
        ({"encrypt": KEY, "server": True, "encrypt_verify_incoming": False, "encrypt_verify_outgoing": False}, (), {"server": True}),
        ({"acl_management_token": "a"}, (), {"acl.tokens.master": "a"}),
        ({"acl_default_policy": "allow"}, (), {"acl.default_policy": "deny"}),
        ({}, (), {"acl.default_policy": "allow"}),
    ],
)
def test_what_the_node_has_already_is_fine(tmp_path: pathlib.Path, given: Json, keys: tuple[str, ...], current: Json) -> None:
    assert list(security.conflicts(options(**given), current, {}, keyring(tmp_path, *keys) if keys else "")) == []


def test_another_authority_is_refused_and_both_together_are_not(tls: Json) -> None:
    held = {"ca.pem": tls["ca"]}
    current = {"ca_file": "/c/ca.pem"}
    assert "trusts another certificate authority" in "".join(security.conflicts(options(tls_ca=tls["other"]), current, held, ""))
    assert list(security.conflicts(options(tls_ca=tls["other"] + tls["ca"]), current, held, "")) == []


def test_tls_is_not_given_up_by_leaving_it_out(tls: Json) -> None:
    assert "It speaks TLS with the other nodes" in "".join(security.conflicts(options(), {"ca_file": "/c/ca.pem"}, {"ca.pem": tls["ca"]}, ""))
