"""What a call may know of its peer, in grpcio's words."""

import ssl
from collections.abc import Mapping
from functools import lru_cache

from .http2 import Peer

AuthContext = Mapping[str, list[bytes]]

_PLAIN: AuthContext = {
    "transport_security_type": [b"insecure"],
    "security_level": [b"TSI_SECURITY_NONE"],
}


def auth_context(peer: Peer) -> AuthContext:
    """Return the properties of a connection that grpcio's `auth_context` has."""
    return _PLAIN if peer.certificate is None else _of_certificate(peer.certificate)


def peer_name(peer: Peer) -> str:
    """Return the peer's address as grpcio writes it: `ipv4:1.2.3.4:5`."""
    address = peer.address
    if address.startswith("unix:"):
        return address
    return "ipv6:" + address if address.startswith("[") else "ipv4:" + address


@lru_cache(maxsize=1_000)
def _of_certificate(der: bytes) -> AuthContext:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    context = {
        "transport_security_type": [b"ssl"],
        "security_level": [b"TSI_PRIVACY_AND_INTEGRITY"],
        "x509_common_name": [str(name.value).encode() for name in names],
        "x509_pem_cert": [ssl.DER_cert_to_PEM_cert(der).encode()],
    }
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return context
    context["x509_subject_alternative_name"] = [
        str(name.value).encode() for name in alternative.value
    ]
    return context
