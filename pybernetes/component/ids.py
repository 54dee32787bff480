"""Ids: the only door through which the system's randomness comes in."""

import random
import uuid
from typing import Protocol

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes, so that no suffix spells a word. Source: apimachinery util/rand."""


class Ids(Protocol):
    """Where uids and generated names come from."""

    def uid(self) -> str:
        """Return a new uid, unique for ever."""
        ...

    def suffix(self, length: int = 5) -> str:
        """Return random characters for a generated name."""
        ...


class SystemIds:
    """Ids from the operating system's randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def uid(self) -> str:
        """Return a random (version 4) UUID."""
        return str(uuid.uuid4())

    def suffix(self, length: int = 5) -> str:
        """Return random characters for a generated name."""
        return "".join(self._random.choices(SUFFIX_ALPHABET, k=length))


class SequentialIds:
    """Ids that count: for tests and simulations."""

    def __init__(self) -> None:
        self._count = 0

    def uid(self) -> str:
        """Return the next number, in the form of a UUID."""
        self._count += 1
        return str(uuid.UUID(int=self._count))

    def suffix(self, length: int = 5) -> str:
        """Return the next number, spelt in the suffix alphabet."""
        self._count += 1
        number, digits = self._count, ""
        while len(digits) < length:
            number, rest = divmod(number, len(SUFFIX_ALPHABET))
            digits = SUFFIX_ALPHABET[rest] + digits
        return digits
