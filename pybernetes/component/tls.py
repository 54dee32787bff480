"""Mutual TLS: certificates from files, for gRPC and for HTTP."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Who we are and whom we trust, as PEM files."""

    ca: Path
    """Certificates of the authorities that sign our peers."""
    cert: Path
    key: Path


def tls_files(ca: Path | None, cert: Path | None, key: Path | None) -> TlsFiles | None:
    """Return the three files, or None when none is given; ValueError for anything between."""
    if ca and cert and key:
        return TlsFiles(ca, cert, key)
    if ca or cert or key:
        raise ValueError("tls_ca, tls_cert, tls_key: give all three, or none for plain text")
    return None


def server_credentials(files: TlsFiles, *, require_client: bool = True) -> grpc.ServerCredentials:
    """Return credentials of a gRPC server that judges its clients by our authority."""
    return grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.cert.read_bytes())],
        root_certificates=files.ca.read_bytes(),
        require_client_auth=require_client,
    )


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Return credentials of a gRPC client that shows its own certificate."""
    return grpc.ssl_channel_credentials(
        root_certificates=files.ca.read_bytes(),
        private_key=files.key.read_bytes(),
        certificate_chain=files.cert.read_bytes(),
    )


def server_ssl_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of an HTTPS server; a client may come without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.cert, files.key)
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_ssl_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a TLS client that shows its own certificate."""
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.cert, files.key)
    return context


def rpc_server_ssl_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a gRPC server: HTTP/2 only, no client without a certificate."""
    context = server_ssl_context(files)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    return context


def rpc_client_ssl_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a gRPC client: HTTP/2 only."""
    context = client_ssl_context(files)
    context.set_alpn_protocols(["h2"])
    return context
