# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates are signed by the authority that was there before the first run, and made anew before they end."""

from __future__ import annotations

import datetime
import pathlib
import re
import ssl
import subprocess
import typing as t

from conftest import SECRETS, SERVERS, Cluster, Node, environment, started, until
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Play = t.Callable[..., str]


def served(node: Node) -> x509.Certificate:
    """What a server shows to who calls it."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((node.address, 8501)).encode())


def end_soon(node: Node) -> None:
    """Sign a server's certificate for 20 days."""
    path = SECRETS / "servers" / f"{node.name}.pem"
    old, authority = (x509.load_pem_x509_certificate(one.read_bytes()) for one in (path, SECRETS / "ca.pem"))
    key: t.Any = serialization.load_pem_private_key((SECRETS / "ca.key").read_bytes(), None)
    now = datetime.datetime.now(datetime.timezone.utc)
    times = (now - datetime.timedelta(days=1), now + datetime.timedelta(days=20))
    new = x509.CertificateBuilder(authority.subject, old.subject, old.public_key(), x509.random_serial_number(), *times, list(old.extensions))
    path.write_bytes(new.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def test_the_authority_that_somebody_has_already_signs() -> None:
    assert {served(node).issuer.rfc4514_string() for node in SERVERS} == {"CN=The authority of the company"}


def test_a_key_that_somebody_has_already_is_used_and_is_of_his_kind() -> None:
    (rsa,) = (served(node).public_key() for node in SERVERS if isinstance(served(node).public_key(), RSAPublicKey))
    own: t.Any = serialization.load_pem_private_key((SECRETS / "servers" / "server1.key").read_bytes(), None)
    assert rsa == own.public_key()


def encrypted(path: pathlib.Path, folder: pathlib.Path) -> list[str]:
    """Encrypt a file; the arguments that give the password."""
    (folder / "password").write_text("of the vault")
    arguments = ["--vault-password-file", str(folder / "password")]
    subprocess.run(["ansible-vault", "encrypt", *arguments, str(path)], check=True, capture_output=True, env=environment())
    return arguments


def test_a_certificate_that_ends_soon_is_replaced_without_a_restart(cluster: Cluster, play: Play, tmp_path: pathlib.Path) -> None:
    node, before = SERVERS[0], started(SERVERS)
    old = served(node).serial_number
    end_soon(node)
    (SECRETS / "ca.key").rename(SECRETS / "ca.key.elsewhere")
    try:
        refused = play("discovery.consul.site", "--tags", "consul_servers", code=2)
    finally:
        (SECRETS / "ca.key.elsewhere").rename(SECRETS / "ca.key")
    assert "ends within 30 days" in re.sub(r"\s+", " ", refused)
    assert served(node).serial_number == old

    # The authority's key may be encrypted, and the server's own key is the one that it was.
    key, vault = (SECRETS / "servers" / f"{node.name}.key").read_bytes(), encrypted(SECRETS / "ca.key", tmp_path)
    try:
        play("discovery.consul.site", "--tags", "consul_servers", *vault)
    finally:
        subprocess.run(["ansible-vault", "decrypt", *vault, str(SECRETS / "ca.key")], check=True, capture_output=True, env=environment())
    assert (SECRETS / "servers" / f"{node.name}.key").read_bytes() == key
    until("the new one is served", lambda: served(node).serial_number != old)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert served(node).not_valid_after_utc > now + datetime.timedelta(days=390)
    assert served(node).not_valid_before_utc < now - datetime.timedelta(hours=23)
    assert started(SERVERS) == before
    cluster.is_healthy_again()
