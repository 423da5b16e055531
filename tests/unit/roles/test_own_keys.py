# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the folder of secrets holds already is used: the keys of an authority and of a server, each without its certificate; or nothing."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT = pathlib.Path(__file__).resolve().parents[3]

PLAY = """
- hosts: consul_servers
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: discovery.consul.consul_agent
        tasks_from: "{{ item }}"
      vars:
        consul_agent_server: true
      loop: [node.yml, secrets.yml]
"""


def put_key(path: pathlib.Path) -> bytes:
    """Write an RSA key; its text."""
    key = rsa.generate_private_key(65537, 2048)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    path.chmod(0o600)
    return path.read_bytes()


def public(certificate: pathlib.Path) -> t.Any:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()


def make_secrets(tmp_path: pathlib.Path, secrets: pathlib.Path, *arguments: str) -> None:
    """Run what makes the secrets of a server, on this machine."""
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "consul_agent_secrets": str(secrets)}
    hosts = {"s1": {"consul_agent_advertise_addr": "10.0.0.1"}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "children": {"consul_servers": {"hosts": hosts}}}}))
    (tmp_path / "play.yml").write_text(PLAY)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".venv" / "collections")}
    command = [f"{PROJECT}/.venv/bin/ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.yml"), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_keys_without_certificates_are_used_and_stay(tmp_path: pathlib.Path) -> None:
    secrets = tmp_path / "secrets"
    paths = [secrets / "ca.key", secrets / "servers" / "s1.key"]
    texts = [put_key(path) for path in paths]
    make_secrets(tmp_path, secrets)
    assert [path.read_bytes() for path in paths] == texts
    for path in paths:
        own: t.Any = serialization.load_pem_private_key(path.read_bytes(), None)
        assert public(path.with_suffix(".pem")) == own.public_key()
    authority = x509.load_pem_x509_certificate((secrets / "ca.pem").read_bytes())
    x509.load_pem_x509_certificate((secrets / "servers" / "s1.pem").read_bytes()).verify_directly_issued_by(authority)


def test_check_mode_makes_nothing_where_nothing_is_yet(tmp_path: pathlib.Path) -> None:
    secrets = tmp_path / "secrets"
    make_secrets(tmp_path, secrets, "--check", "--diff")
    assert not secrets.exists()


def test_check_mode_makes_no_certificate_of_an_authority_that_is_there(tmp_path: pathlib.Path) -> None:
    secrets = tmp_path / "secrets"
    make_secrets(tmp_path, secrets)
    for path in (secrets / "servers").iterdir():
        path.unlink()
    (secrets / "servers").rmdir()
    make_secrets(tmp_path, secrets, "--check", "--diff")
    assert not (secrets / "servers").exists()
