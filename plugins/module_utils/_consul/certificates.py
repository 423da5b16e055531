# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The certificate of a server, and before the first one the authority that signs it, as files of the controller."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import ipaddress
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.discovery.consul.plugins.module_utils._consul.secrets import write
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

AUTHORITY, AUTHORITY_KEY = "ca.pem", "ca.key"
SERVERS = "servers"

RENEWED_BEFORE = datetime.timedelta(days=30)
AUTHORITY_LIFE = datetime.timedelta(days=3650)
SERVER_LIFE = datetime.timedelta(days=397)  # what browsers take at most
EARLIER = datetime.timedelta(days=1)  # a host whose clock is behind this one's takes it at once, too


class CertificateError(OperatorError):
    """A certificate that cannot be made; the text says why."""


@dataclass(frozen=True)
class Request:
    """What is wanted. Texts are in PEM format; an empty one is read from its file of the folder."""

    folder: str
    name: str  # of the server's files
    common_name: str
    names: tuple[str, ...]  # each DNS:NAME, IP:ADDRESS or URI:ADDRESS
    authority_name: str  # of an authority that is made
    authority: str = ""
    authority_key: str = ""
    key: str = ""


@dataclass
class Made:
    """Names of files relative to the folder: those that were not there before, and all that were written."""

    created: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


def make(request: Request, check_mode: bool = False) -> Made:
    """Make what is missing, and the server's certificate anew where it cannot be used for another month. A key that is there is never made anew."""
    files = _Files(request.folder, check_mode)
    key_file, certificate_file = (f"{SERVERS}/{request.name}{ending}" for ending in (".key", ".pem"))
    with files.held():
        signer = request.authority_key or files.text(AUTHORITY_KEY)
        authority = request.authority or files.text(AUTHORITY)
        if not authority:
            signer = signer or files.put(AUTHORITY_KEY, _new_key())
            authority = files.put(AUTHORITY, _self_signed(signer, request.authority_name))
        why = problem(files.text(certificate_file), authority, request.names)
        if why and not signer:
            raise CertificateError(
                f"{os.path.join(request.folder, certificate_file)} {why}, and {request.folder} has no {AUTHORITY_KEY} to sign one with."
                f" Put the certificate and its key there, or {AUTHORITY_KEY}."
            )
        if why:
            key = request.key or files.text(key_file) or files.put(key_file, _new_key())
            files.put(certificate_file, _signed(request, key, authority, signer))
    return files.made


def problem(certificate: str, authority: str, names: t.Iterable[str], now: datetime.datetime | None = None) -> str:
    """Why a server cannot use the certificate for another month; empty when it can."""
    if not certificate:
        return "is missing"
    try:
        held = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        return "cannot be read as a certificate"
    if _end(held) < (now or _now()) + RENEWED_BEFORE:
        return "ends within 30 days"
    if _signer_id(held) not in (None, _own_id(_certificate(authority, "The authority's certificate")) if authority else None):
        return "is signed by another authority"
    named = _alternatives(held)
    lacks = [name for name in names if _general(name) not in named]
    return f"is not for {', '.join(lacks)}" if lacks else ""


class _Files:
    """The files of the folder. In check mode everything is made in memory and nothing is written."""

    def __init__(self, folder: str, check_mode: bool) -> None:
        self._folder = folder
        self._check_mode = check_mode
        self.made = Made()

    @contextlib.contextmanager
    def held(self) -> t.Iterator[None]:
        """Servers of one play come here at the same time, and one of them makes their authority."""
        if self._check_mode:
            yield
            return
        try:
            os.makedirs(os.path.join(self._folder, SERVERS), exist_ok=True)
            for folder in (self._folder, os.path.join(self._folder, SERVERS)):
                os.chmod(folder, 0o700)
            descriptor = os.open(self._folder, os.O_RDONLY)
        except OSError as exc:
            raise _unusable(exc) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def text(self, name: str) -> str:
        """What is in the file; nothing when there is none."""
        try:
            with open(os.path.join(self._folder, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""
        except OSError as exc:
            raise _unusable(exc) from exc

    def put(self, name: str, text: str) -> str:
        """Write the file, 0600, whole or not at all; its text."""
        path = os.path.join(self._folder, name)
        if not os.path.lexists(path):
            self.made.created.append(name)
        self.made.written.append(name)
        if not self._check_mode:
            try:
                write(path, text, over=True)
            except OSError as exc:
                raise _unusable(exc) from exc
        return text


def _unusable(exc: OSError) -> CertificateError:
    return CertificateError(f"{exc.filename} cannot be used ({exc.strerror}). Make the folder of the secrets writable, or give another one.")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _end(certificate: x509.Certificate) -> datetime.datetime:
    # Before release 42 of the library the time has no zone.
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)


def _certificate(text: str, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as exc:
        raise CertificateError(f"{what} cannot be read. It has to be a certificate in PEM format, and decrypted.") from exc


def _private(text: str, what: str) -> t.Any:
    try:
        return serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        # The library's own text is left out: it may quote what it could not read.
        raise CertificateError(f"{what} cannot be read. It has to be a private key in PEM format, without a password.") from exc


def _public(owner: t.Any) -> bytes:
    """The public key of a certificate or of a private key. Before release 40 of the library keys cannot be compared."""
    return owner.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _new_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _self_signed(signer: str, common_name: str) -> str:
    key = _private(signer, "The authority's key")
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = _builder(_subject(common_name), _subject(common_name), key, AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True).add_extension(own, critical=False)
    return _finish(builder, key)


def _signed(request: Request, key: str, authority: str, signer: str) -> str:
    own, signing = _private(key, f"The key of {request.name}"), _private(signer, "The authority's key")
    issuer = _certificate(authority, "The authority's certificate")
    if _public(issuer) != _public(signing):
        raise CertificateError("The authority's key does not belong to the authority's certificate. Give the two that belong together.")
    builder = _builder(_subject(request.common_name), issuer.subject, own, SERVER_LIFE)
    builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in request.names]), critical=False)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    identifier = _own_id(issuer)
    if identifier is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), critical=False)
    return _finish(builder, signing)


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: t.Any, life: datetime.timedelta) -> x509.CertificateBuilder:
    now = _now()
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - EARLIER, now + life)


def _finish(builder: x509.CertificateBuilder, signer: t.Any) -> str:
    digest = None if isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()
    return builder.sign(signer, digest).public_bytes(serialization.Encoding.PEM).decode()


def _usage(**used: bool) -> x509.KeyUsage:
    kinds = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    return x509.KeyUsage(**{kind: used.get(kind, False) for kind in kinds}, encipher_only=False, decipher_only=False)


def _general(name: str) -> x509.GeneralName:
    kind, _colon, value = name.partition(":")
    try:
        if kind == "IP":
            return x509.IPAddress(ipaddress.ip_address(value))
        if kind in ("DNS", "URI") and value:
            return x509.DNSName(value) if kind == "DNS" else x509.UniformResourceIdentifier(value)
    except ValueError:
        pass
    raise CertificateError(f"A certificate cannot be for '{name}'. Write DNS:NAME, IP:ADDRESS or URI:ADDRESS.")


def _alternatives(certificate: x509.Certificate) -> list[x509.GeneralName]:
    return list(_extension(certificate, x509.SubjectAlternativeName) or [])


def _own_id(certificate: x509.Certificate) -> bytes | None:
    found = _extension(certificate, x509.SubjectKeyIdentifier)
    return found.digest if found else None


def _signer_id(certificate: x509.Certificate) -> bytes | None:
    found = _extension(certificate, x509.AuthorityKeyIdentifier)
    return found.key_identifier if found else None


def _extension(certificate: x509.Certificate, kind: t.Any) -> t.Any:
    """What the certificate says of one kind, or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
