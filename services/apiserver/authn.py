"""Who calls: from a client certificate or a static bearer token to a user."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class User:
    """A caller whom we know."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""


UNSECURED = User("system:unsecured", (MASTERS, AUTHENTICATED))
"""Who everybody is on a listener without TLS, which is for tests only."""


def of_certificate(name: str, groups: Iterable[str]) -> User:
    """Return the user that a certificate's subject names (CN, O)."""
    return User(name, (*groups, AUTHENTICATED))


@lru_cache(maxsize=1_000)
def user_of(certificate: bytes) -> User | None:
    """Return whom a certificate (DER) names; None if it names nobody."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.load_der_x509_certificate(certificate).subject
    users = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not users:
        return None
    return of_certificate(str(users[0].value), [str(group.value) for group in groups])


def load_tokens(path: Path | None) -> Mapping[str, User]:
    """Return the users of a token file by their tokens. Raises ValueError for a malformed line."""
    if path is None:
        return {}
    users: dict[str, User] = {}
    with path.open(newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or row[0].startswith("#"):
                continue
            if len(row) not in (3, 4) or not row[0] or not row[1]:
                raise ValueError(
                    f'{path}:{number}: expected token,user,uid,"group1,group2", '
                    f"found {len(row)} columns"
                )
            token, name, uid = (cell.strip() for cell in row[:3])
            groups = [group.strip() for group in row[3].split(",")] if len(row) == 4 else []
            users[token] = User(name, (*filter(None, groups), AUTHENTICATED), uid)
    return users
