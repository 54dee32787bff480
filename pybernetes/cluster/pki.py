"""Certificates of a cluster: one authority, one certificate for each identity."""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pybernetes.component.clock import Clock, SystemClock
from pybernetes.component.tls import TlsFiles

AUTHORITY_VALIDITY = timedelta(days=3650)
CERTIFICATE_VALIDITY = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
"""A certificate with less time left than this is issued anew at the next start."""
BACKDATE = timedelta(minutes=5)
"""Peers' clocks may lag by this much."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The cluster's certificate authority."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    file: Path


def make_ca(directory: Path, clock: Clock | None = None, *, name: str = "pybernetes") -> Authority:
    """Load the authority of `directory` (ca.crt, ca.key), or make it."""
    cert_file, key_file = directory / "ca.crt", directory / "ca.key"
    if cert_file.exists() and key_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file}: not an elliptic-curve key")
        return Authority(x509.load_pem_x509_certificate(cert_file.read_bytes()), key, cert_file)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = (clock or SystemClock()).now()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name, ())
    certificate = (
        _builder(subject, subject, key, now, AUTHORITY_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _pem_of_key(key), 0o600)
    _write(cert_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Authority(certificate, key, cert_file)


def issue(
    authority: Authority,
    name: str,
    organizations: Sequence[str],
    sans: Sequence[str],
    directory: Path,
    *,
    file_name: str | None = None,
    clock: Clock | None = None,
) -> TlsFiles:
    """Issue a certificate for `name` (CN) of `organizations` (O), for servers and clients alike.

    `sans` are host names and IP addresses. A certificate that is there, names the same hosts and
    has more than a month left, is kept.
    """
    now = (clock or SystemClock()).now()
    stem = file_name or name.replace(":", "-")
    files = TlsFiles(authority.file, directory / f"{stem}.crt", directory / f"{stem}.key")
    if _still_good(files, authority, sans, now):
        return files
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(
            _name(name, organizations),
            authority.certificate.subject,
            key,
            now,
            CERTIFICATE_VALIDITY,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    if sans:
        names = [_general_name(san) for san in sans]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256())
    _write(files.key, _pem_of_key(key), 0o600)
    _write(files.cert, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return files


def _still_good(files: TlsFiles, authority: Authority, sans: Sequence[str], now: datetime) -> bool:
    if not (files.cert.exists() and files.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    if certificate.public_key() != key.public_key():
        return False
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        there = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        there = x509.SubjectAlternativeName([])
    except (ValueError, InvalidSignature):
        return False
    wanted = {_general_name(san) for san in sans}
    return set(there) == wanted and certificate.not_valid_after_utc - now > RENEW_BEFORE


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    validity: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + validity)
    )


def _name(common: str, organizations: Sequence[str]) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
        + [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
