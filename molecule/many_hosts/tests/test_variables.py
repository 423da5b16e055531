# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster whose secrets all come from variables, as a vault has them: no folder is needed, and none is made."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
import re
import secrets
import subprocess
import typing as t
import uuid

import pytest
from conftest import CACHE, NODES, SERVERS, Cluster, Node, environment

Play = t.Callable[..., str]
VAULT = "the password of the vault"


def certificates() -> dict[str, t.Any]:
    """An authority, and a certificate that it signed for each server."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def pem(key: ec.EllipticCurvePrivateKey) -> str:
        plain = serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()

    def signed(subject: str, key: ec.EllipticCurvePrivateKey, extensions: list[t.Any]) -> str:
        builder = x509.CertificateBuilder(
            name("The vault's authority"), name(subject), key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=90)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    authority = ec.generate_private_key(ec.SECP256R1())
    found: dict[str, t.Any] = {"ca": signed("The vault's authority", authority, [x509.BasicConstraints(True, None)]), "pairs": {}}
    for node in SERVERS:
        names = [x509.DNSName(one) for one in ("server.dc1.consul", node.name, "localhost")]
        addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", node.address)]
        key = ec.generate_private_key(ec.SECP256R1())
        found["pairs"][node.host] = {"certificate": signed(node.name, key, [x509.SubjectAlternativeName([*names, *addresses])]), "key": pem(key)}
    return found


@pytest.fixture(scope="module")
def vault() -> t.Iterator[list[str]]:
    """Arguments that give every secret as an encrypted variable."""
    made = certificates()
    tokens = {name: str(uuid.uuid4()) for name in ("management", "dns", "health", "registrator")}
    variables = {
        "consul_agent_encrypt": base64.b64encode(secrets.token_bytes(32)).decode(),
        "consul_agent_tls_ca": made["ca"],
        "vault_pairs": made["pairs"],
        "vault_agents": {node.host: str(uuid.uuid4()) for node in NODES},
        "consul_agent_acl_management_token": tokens["management"],
        "consul_agent_acl_dns_token": tokens["dns"],
        "consul_agent_health_token": tokens["health"],
        "consul_agent_registrator_token": tokens["registrator"],
        "consul_agent_acl_agent_token": "{{ vault_agents[inventory_hostname] }}",
        "consul_agent_tls_certificate": "{{ (vault_pairs[inventory_hostname] | default({})).certificate | default('') }}",
        "consul_agent_tls_key": "{{ (vault_pairs[inventory_hostname] | default({})).key | default('') }}",
        "registrator_token": tokens["registrator"],
        "consul_agent_secrets": "",
    }
    password, file = CACHE / "vault_password", CACHE / "vault.json"
    password.write_text(VAULT)
    file.write_text(json.dumps(variables))
    subprocess.run(["ansible-vault", "encrypt", "--vault-password-file", str(password), str(file)], check=True, capture_output=True, env=environment())
    yield ["--vault-password-file", str(password), "-e", f"@{file}"]
    file.unlink()
    password.unlink()


def folders() -> set[str]:
    return {os.path.join(path, name) for path, names, _files in os.walk(CACHE) for name in names if "collections" not in path}


def test_all_secrets_come_from_variables(play: Play, cluster: Cluster, vault: list[str]) -> None:
    play("discovery.consul.clean", "-e", "clean_data=yes", "-e", '{"container_image_list": []}')
    assert not [node.name for node in NODES if node.run("docker ps --all --quiet")]
    before = folders()
    output = play("discovery.consul.site", *vault)
    assert "verdict healthy" in re.sub(r"\s+", " ", output)
    assert folders() == before
    assert not re.search(r"changed=[1-9]", play("discovery.consul.site", *vault))
    assert "The cluster is healthy." in play("discovery.consul.health", *vault)
    asked = ask_without_token(SERVERS[0])
    assert asked.startswith("403"), asked


def ask_without_token(node: Node) -> str:
    code = (
        "import urllib.request, urllib.error\n"
        "try: print(urllib.request.urlopen('http://127.0.0.1:8500/v1/agent/self').status)\n"
        "except urllib.error.HTTPError as error: print(error.code)"
    )
    return node.run(f'python3 -c "{code}"').strip()
