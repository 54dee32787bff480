"""Certificates: who they name, and when they are issued anew."""

from datetime import timedelta
from pathlib import Path

from cryptography import x509

from pybernetes.cluster.pki import CERTIFICATE_VALIDITY, RENEW_BEFORE, issue, make_ca
from pybernetes.component.clock import FakeClock


def test_the_authority_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first = make_ca(tmp_path)
    assert make_ca(tmp_path).certificate == first.certificate
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600


def test_a_certificate_names_its_subject_and_hosts(tmp_path: Path) -> None:
    files = issue(make_ca(tmp_path), "admin", ("system:masters",), ("127.0.0.1", "a"), tmp_path)
    certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=admin,O=system:masters"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a"]
    certificate.verify_directly_issued_by(make_ca(tmp_path).certificate)


def test_a_certificate_is_kept_until_it_is_about_to_end_or_its_hosts_change(tmp_path: Path) -> None:
    clock = FakeClock()
    authority = make_ca(tmp_path, clock)

    def serial(*hosts: str) -> int:
        files = issue(authority, "web", (), hosts, tmp_path, clock=clock)
        return x509.load_pem_x509_certificate(files.cert.read_bytes()).serial_number

    first = serial("a")
    assert serial("a") == first
    second = serial("a", "b")
    assert second != first
    clock.advance((CERTIFICATE_VALIDITY - RENEW_BEFORE - timedelta(days=1)).total_seconds())
    assert serial("a", "b") == second
    clock.advance(timedelta(days=2).total_seconds())
    assert serial("a", "b") != second


def test_a_certificate_of_another_authority_is_not_kept(tmp_path: Path) -> None:
    ours, theirs = make_ca(tmp_path / "a"), make_ca(tmp_path / "b")
    directory = tmp_path / "certs"
    issue(theirs, "web", (), (), directory)
    files = issue(ours, "web", (), (), directory)
    certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
    certificate.verify_directly_issued_by(ours.certificate)


def test_two_authorities_of_one_cluster_have_names_of_their_own(tmp_path: Path) -> None:
    cluster, store = make_ca(tmp_path), make_ca(tmp_path / "etcd", name="etcd-ca")
    assert cluster.certificate.subject.rfc4514_string() == "CN=pybernetes"
    assert store.certificate.subject.rfc4514_string() == "CN=etcd-ca"
