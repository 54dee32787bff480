"""Passwords as they are stored: salted, and slow to guess. Slow to check, too: use a thread."""

import hashlib
import hmac
import os

COST = 1 << 14
"""Some fifty milliseconds and 16 MiB for each guess."""

SALT_BYTES = 16
_BLOCK, _LANES, _KEY_BYTES = 8, 1, 32


def hashed(password: str) -> bytes:
    """Return what to store."""
    salt = os.urandom(SALT_BYTES)
    return salt + _derive(password, salt)


def matches(password: str, stored: bytes) -> bool:
    """Say whether a password is the one that was stored."""
    salt, key = stored[:SALT_BYTES], stored[SALT_BYTES:]
    return hmac.compare_digest(_derive(password, salt), key)


def _derive(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=COST, r=_BLOCK, p=_LANES, dklen=_KEY_BYTES
    )
