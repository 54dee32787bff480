"""Label selectors: parse, match, print.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/labels/selector.go.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import names
from .errors import BadRequest

_TOKEN = re.compile(r"\s*(?:(?P<symbol>!=|==|=|!|,|\(|\)|>|<)|(?P<word>[^\s!=,()<>]+))")
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str
    """One of `=`, `!=`, `in`, `notin`, `exists`, `!`, `gt`, `lt`."""
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels satisfy this condition."""
        found = labels.get(self.key)
        match self.operator:
            case "=" | "in":
                return found is not None and found in self.values
            case "!=" | "notin":
                return found is None or found not in self.values
            case "exists":
                return found is not None
            case "!":
                return found is None
            case _:
                return found is not None and self._compares(found)

    def _compares(self, found: str) -> bool:
        try:
            number = int(found)
        except ValueError:
            return False
        bound = int(self.values[0])
        return number > bound if self.operator == "gt" else number < bound

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; without any, everything matches."""

    requirements: tuple[Requirement, ...] = ()
    is_nothing: bool = False
    """Matches no object at all: an absent LabelSelector."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether an object with these labels is selected."""
        if self.is_nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def is_everything(self) -> bool:
        """Whether every object matches."""
        return not self.requirements and not self.is_nothing

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(is_nothing=True)


def parse(text: str) -> Selector:
    """Return the selector written as in a URL: `app=web,tier in (a,b),!old`.

    Raises BadRequest if it is malformed.
    """
    if not text.strip():
        return EVERYTHING
    return Selector(tuple(sorted(_Parser(text).requirements(), key=lambda found: found.key)))


def from_label_selector(selector: Any) -> Selector:
    """Return the selector that a LabelSelector says: a JSON tree, or its typed view.

    None selects nothing, an empty one everything. Raises BadRequest for an unknown operator.
    """
    if selector is None:
        return NOTHING
    if isinstance(selector, Mapping):
        labels = selector.get("matchLabels") or {}
        expressions: Iterable[tuple[str, str, Iterable[str]]] = (
            (found.get("key", ""), found.get("operator", ""), found.get("values") or ())
            for found in selector.get("matchExpressions") or ()
        )
    else:
        labels = selector.match_labels
        expressions = (
            (found.key, found.operator, found.values or ()) for found in selector.match_expressions
        )
    found = [*from_map(labels).requirements, *(_expression(*parts) for parts in expressions)]
    return Selector(tuple(sorted(found, key=lambda requirement: requirement.key)))


def from_map(labels: Mapping[str, str]) -> Selector:
    """Return the selector of objects that carry all these labels: a Service's."""
    return Selector(tuple(Requirement(key, "=", (labels[key],)) for key in sorted(labels)))


def _expression(key: str, operator: str, values: Iterable[str]) -> Requirement:
    try:
        return Requirement(key, _OPERATORS[operator], tuple(values))
    except KeyError:
        raise BadRequest(f'"{operator}" is not a valid label selector operator') from None


class _Parser:
    """A recursive-descent parser of one level: requirements separated by commas."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0

    def requirements(self) -> Iterator[Requirement]:
        while True:
            yield self._requirement()
            if self._peek() == "":
                return
            self._expect(",")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "!")
        key = self._key()
        token = self._peek()
        if token in ("", ","):
            return Requirement(key, "exists")
        self._next()
        match token:
            case "=" | "==":
                return Requirement(key, "=", (self._value(key),))
            case "!=":
                return Requirement(key, "!=", (self._value(key),))
            case "in" | "notin":
                return Requirement(key, token, self._values(key))
            case ">" | "<":
                return Requirement(key, "gt" if token == ">" else "lt", (self._number(),))
        raise self._error(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")

    def _key(self) -> str:
        key = self._next()
        messages = names.qualified_name(key)
        if messages:
            raise self._error(f"invalid label key {_quoted(key)}: {'; '.join(messages)}")
        return key

    def _value(self, key: str) -> str:
        if self._peek() in ("", ","):
            return ""
        found = self._next()
        messages = names.label_value(found)
        if messages:
            raise self._error(
                f"invalid label value: {_quoted(found)}: at key: {_quoted(key)}: "
                f"{'; '.join(messages)}"
            )
        return found

    def _values(self, key: str) -> tuple[str, ...]:
        self._expect("(")
        values = []
        while self._peek() != ")":
            if self._peek() == ",":
                values.append("")
            else:
                values.append(self._value(key))
            if self._peek() == ",":
                self._next()
                if self._peek() == ")":
                    values.append("")
            elif self._peek() != ")":
                raise self._error(f"found '{self._peek()}', expected: ',' or ')'")
        self._next()
        return tuple(values) or ("",)

    def _number(self) -> str:
        found = self._next()
        if not re.fullmatch(r"-?\d+", found):
            raise self._error("for 'Gt', 'Lt' operators, the value must be an integer")
        return found

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _expect(self, token: str) -> None:
        if self._peek() != token:
            raise self._error(f"found '{self._peek()}', expected: '{token}'")
        self._next()

    def _error(self, why: str) -> BadRequest:
        return BadRequest(f"unable to parse requirement: {why}")


def _tokens(text: str) -> list[str]:
    """Split; the list ends with an empty token, which means the end."""
    tokens, position = [], 0
    while match := _TOKEN.match(text, position):
        tokens.append(match["symbol"] or match["word"])
        position = match.end()
    return [*tokens, ""]


def _quoted(text: str) -> str:
    return f'"{text}"'
