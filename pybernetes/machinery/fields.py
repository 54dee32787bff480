"""Field selectors: `spec.nodeName=node-1,status.phase!=Running`.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/fields/selector.go.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .errors import BadRequest

_ESCAPES = {"\\": "\\", ",": ",", "=": "="}


@dataclass(frozen=True, slots=True)
class Term:
    """One field must, or must not, have one value."""

    field: str
    value: str
    is_negated: bool = False

    def __str__(self) -> str:
        return f"{self.field}{'!=' if self.is_negated else '='}{_escape(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All terms must hold; without any, everything matches."""

    terms: tuple[Term, ...] = ()

    def matches(self, getter: Callable[[str], str]) -> bool:
        """Return whether an object is selected; `getter` returns a field's value, "" if unset."""
        return all((getter(term.field) == term.value) != term.is_negated for term in self.terms)

    def required(self, field: str) -> str | None:
        """Return the one value that `field` must have; None if the selector does not say."""
        for term in self.terms:
            if term.field == field and not term.is_negated:
                return term.value
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


EVERYTHING = FieldSelector()


def parse(text: str) -> FieldSelector:
    """Return the selector. Raises BadRequest if it is malformed."""
    return FieldSelector(tuple(_term(part, text) for part in _split(text) if part))


def _split(text: str) -> list[str]:
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == ",":
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def _term(part: str, text: str) -> Term:
    for at in range(len(part)):
        for operator, is_negated in (("!=", True), ("==", False), ("=", False)):
            if part.startswith(operator, at):
                value = _unescape(part[at + len(operator) :])
                return Term(part[:at], value, is_negated)
    raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")


def _unescape(value: str) -> str:
    out, characters = [], iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in _ESCAPES or not escaped:
                raise BadRequest(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif character in ",=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {character}")
        else:
            out.append(character)
    return "".join(out)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
