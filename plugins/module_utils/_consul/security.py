# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What keeps strangers out of a cluster: the gossip key, certificates and ACL tokens of one agent.

`settings` and `files` say how the options are written, `problems` judges them by themselves, and `conflicts` against what
the node has already: Consul takes another gossip key or another management token without a word, and keeps the old one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
import ssl
import typing as t

Json = t.Dict[str, t.Any]
Files = t.Dict[str, str]

GOSSIP_KEY_BYTES = 32
HTTPS_PORT = 8501
KEYRING = "serf/local.keyring"
"""Where an agent keeps the gossip keys, below its data directory: a list, the one that it encrypts with first."""

CA_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.pem", "certificate.pem", "key.pem"
FILES = {"tls_ca": CA_FILE, "tls_certificate": CERTIFICATE_FILE, "tls_key": KEY_FILE}
TOKENS = ("acl_agent_token", "acl_dns_token", "acl_management_token", "acl_services_token")
GOSSIP_KEYS, CA_KEYS = {"encrypt"}, {"ca_file", "tls.defaults.ca_file"}
MANAGEMENT_KEYS = ("acl.tokens.master", "acl.tokens.initial_management")

DOMAIN = "consul"

# Consul trusts whatever is among its authorities, even one that another one signed. Python knows the flag since 3.10.
PARTIAL_CHAIN = getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)

# How often each side of a handshake speaks at most.
FLIGHTS = 3

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.+?-----END CERTIFICATE-----", re.S)


def files(options: Json) -> Files:
    """The files beside the configuration that it names."""
    return {name: options[option].strip() + "\n" for option, name in FILES.items() if options.get(option)}


def settings(options: Json, folder: str) -> Json:
    """What these options mean for the configuration; `folder` is where the agent finds the files."""
    found: Json = {}
    if options.get("acl_default_policy"):
        found["acl_enabled"] = True
    if options.get("tls_ca"):
        found["ca_file"] = f"{folder}/{CA_FILE}"
        for option in ("verify_incoming", "verify_outgoing", "verify_server_hostname"):
            found[option] = True if options.get(option) is None else options[option]
    if options.get("tls_certificate"):
        found["cert_file"], found["key_file"] = f"{folder}/{CERTIFICATE_FILE}", f"{folder}/{KEY_FILE}"
        found["ports"] = {"https": HTTPS_PORT, **(options.get("ports") or {})}
    if options.get("auto_encrypt"):
        found["auto_encrypt_allow_tls" if options.get("server") else "auto_encrypt_tls"] = True
    return found


def problems(options: Json) -> t.Iterator[str]:
    """Every reason why these options secure nothing, each a sentence with its remedy."""
    yield from _gossip_problems(options)
    yield from _tls_problems(options)
    given = [token for token in TOKENS if options.get(token)]
    if given and not options.get("acl_default_policy"):
        yield f"{given[0]} means nothing without ACLs. Give acl_default_policy, or leave it out."


def conflicts(options: Json, current: Json, held: Files, data: str) -> t.Iterator[str]:
    """What the node has and would keep against these options.

    `current` is its configuration with dotted keys, `held` are the files beside it, `data` is its data directory on the
    host, or an empty text.
    """
    yield from _open_conflicts(options, current)
    key, keys = options.get("encrypt"), keyring(data) or [key for key in [current.get("encrypt")] if key]
    if key and keys and key not in keys:
        yield "It has another gossip key, which Consul would keep. Give that one; to change it while the cluster runs, see docs/security.md."
    if not key and keys:
        yield "It has a gossip key, and goes on to encrypt as long as its data is there. Give that key."
    if options.get("tls_ca") and held.get(CA_FILE) and not certificates(held[CA_FILE]) & certificates(options["tls_ca"]):
        yield "It trusts another certificate authority. Give that one, or both in one text while the cluster moves from one to the other."
    yield from _weaker(options, current, held)
    management = next((current[path] for path in MANAGEMENT_KEYS if current.get(path)), None)
    if management and options.get("acl_management_token") not in (None, management):
        yield "It has another management token, which Consul would keep. Give that one."


def _weaker(options: Json, current: Json, held: Files) -> t.Iterator[str]:
    """What it would give up: alone among nodes that keep it, or open to everybody, which nobody should become by leaving an option out."""
    if held.get(CA_FILE) and not options.get("tls_ca"):
        yield "It speaks TLS with the other nodes, which would refuse it without. Give tls_ca, as before."
    if current.get("acl.default_policy") == "deny" and not options.get("acl_default_policy"):
        yield "It lets nobody do anything without a token, and without ACLs it would let everybody do everything. Give acl_default_policy, as before."


def _open_conflicts(options: Json, current: Json) -> t.Iterator[str]:
    """A server that was open and suddenly is strict loses the others, and they their quorum with the second one."""
    if not options.get("server") or not current:
        return
    strict_gossip = options.get("encrypt") and not (options.get("encrypt_verify_incoming") is False is options.get("encrypt_verify_outgoing"))
    strict_tls = options.get("tls_ca") and not (options.get("verify_incoming") is False is options.get("verify_outgoing"))
    was_open = [name for name, strict, keys in (("gossip", strict_gossip, GOSSIP_KEYS), ("TLS", strict_tls, CA_KEYS)) if strict and not keys & current.keys()]
    if was_open:
        yield f"It runs without encryption ({', '.join(was_open)}) so far, and would lose the other servers. Run the playbook discovery.consul.secure, once."


def certificates(text: str) -> set[str]:
    """The certificates in a text in PEM, each as its base64 without line breaks."""
    return {"".join(found.split("-----")[2].split()) for found in _CERTIFICATE.findall(text)}


def _gossip_problems(options: Json) -> t.Iterator[str]:
    key = options.get("encrypt")
    if not key:
        return
    try:
        length = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        yield "encrypt is not base64. Make a key with: consul keygen"
        return
    if length != GOSSIP_KEY_BYTES:
        yield f"encrypt holds {length} bytes; a gossip key has {GOSSIP_KEY_BYTES}, written in base64. Make one with: consul keygen"


def _tls_problems(options: Json) -> t.Iterator[str]:
    ca, certificate, key = (options.get(option) for option in FILES)
    if bool(certificate) != bool(key):
        yield "tls_certificate and tls_key go together. Give both or none."
    if not ca:
        for option in ("tls_certificate", "auto_encrypt", "verify_incoming", "verify_outgoing", "verify_server_hostname"):
            if options.get(option):
                yield f"{option} needs tls_ca, the certificates of the authorities to trust."
        return
    if options.get("server") and not certificate:
        yield "A server with tls_ca needs a certificate of its own. Give tls_certificate and tls_key."
    try:
        ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        yield "tls_ca holds no certificate in PEM."
        return
    if certificate and key:
        yield from _pair_problems(options)


def _pair_problems(options: Json) -> t.Iterator[str]:
    """What a certificate would be refused for, by its own agent or by the others. Python reads keys from files only: this one is in memory."""
    holder = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with os.fdopen(os.memfd_create("certificate"), "w") as file:
        file.write(f"{options['tls_certificate'].strip()}\n{options['tls_key'].strip()}\n")
        file.flush()
        try:
            holder.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")
        except ssl.SSLError as exc:
            yield f"tls_certificate and tls_key are no pair in PEM ({exc.reason or exc})."
            return
    named = options.get("server") and options.get("verify_server_hostname") is not False
    name = f"server.{options['datacenter']}.{(options.get('domain') or DOMAIN).strip('.')}"
    why = _refusal(holder, options["tls_ca"], name if named else None)
    if why:
        yield f"The other nodes would refuse tls_certificate: {why}. Give one that an authority in tls_ca signed{f' for {name}' if named else ''}."


def _refusal(holder: ssl.SSLContext, ca: str, name: str | None) -> str | None:
    """Why somebody who trusts `ca` and calls whoever holds a certificate goes away again; None when he stays. Both talk in memory."""
    caller = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    caller.check_hostname = name is not None
    caller.load_verify_locations(cadata=ca)
    caller.verify_flags |= PARTIAL_CHAIN
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = caller.wrap_bio(back, there, server_hostname=name), holder.wrap_bio(there, back, server_side=True)
    try:
        for end in ends * FLIGHTS:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLCertVerificationError as exc:
        return exc.verify_message
    except ssl.SSLError as exc:
        return str(exc.reason or exc)
    return None


def keyring(data: str) -> list[str]:
    """The gossip keys that a node has, the one that it encrypts with first; none where there are no data yet."""
    try:
        with open(os.path.join(data, KEYRING), encoding="utf-8") as file:
            return list(json.load(file))
    except (OSError, ValueError, TypeError):
        return []
