"""Objects on their way in: bytes to a normalised JSON tree of the right kind.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/create.go and
staging/src/k8s.io/apimachinery/pkg/runtime/serializer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson
import yaml

from pybernetes.machinery.errors import BadRequest, UnsupportedMediaType
from pybernetes.machinery.resource import Json
from pybernetes.schema.normalise import Problem, normalise
from pybernetes.schema.types import Type

from . import protobuf

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
READABLE = (JSON_TYPE, YAML_TYPE, protobuf.MEDIA_TYPE)

YAML_NODES_MAX = 100_000
"""Aliases can make a short text huge."""


class FieldValidation(Enum):
    """What an unknown field means."""

    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


def field_validation(text: str) -> FieldValidation:
    """Return what a request asks for; Warn if it does not say. Raises BadRequest."""
    if not text:
        return FieldValidation.WARN
    try:
        return FieldValidation(text)
    except ValueError:
        raise BadRequest(
            f'fieldValidation: Unsupported value: "{text}": '
            'supported values: "Ignore", "Strict", "Warn"'
        ) from None


@dataclass(slots=True)
class Decoded:
    """A tree that the schema allows, and what the caller should be warned of."""

    tree: Json
    warnings: list[str] = field(default_factory=list)


class _YamlLoader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: no dates, and few nodes."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._nodes = 0

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        self._nodes += 1
        if self._nodes > YAML_NODES_MAX:
            raise yaml.YAMLError("too many nodes")
        return super().construct_object(node, deep)


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def parse(body: bytes, media_type: str = JSON_TYPE) -> Any:
    """Return the JSON value in a body. Raises BadRequest, UnsupportedMediaType."""
    if media_type == JSON_TYPE:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"couldn't get version/kind; json parse error: {error}") from None
    if media_type == YAML_TYPE:
        try:
            return yaml.load(body, _YamlLoader)
        except (yaml.YAMLError, ValueError) as error:
            raise BadRequest(f"error converting YAML to JSON: {error}") from None
    raise unsupported(media_type, READABLE)


def unsupported(media_type: str, readable: Iterable[str]) -> UnsupportedMediaType:
    """Return the error for a body in a media type that is not read."""
    listed = ", ".join(readable)
    return UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        f"{listed} (got {media_type or 'none'})"
    )


def tree_of(value: Any, type_: Type) -> Json:
    """Return a JSON value as an object of a kind. Raises BadRequest if it is another kind."""
    if not isinstance(value, dict):
        raise BadRequest("couldn't get version/kind; json parse error: expected an object")
    wanted = f"{type_.group}/{type_.version}" if type_.group else type_.version
    version = value.setdefault("apiVersion", wanted)
    kind = value.setdefault("kind", type_.short_name)
    if kind != type_.short_name:
        raise BadRequest(
            f'{kind} in version "{version}" cannot be handled as a {type_.short_name}: '
            f"converting ({version}.{kind}) to ({wanted}.{type_.short_name}): unknown conversion"
        )
    if version != wanted:
        raise BadRequest(
            f"the API version in the data ({version}) does not match "
            f"the expected API version ({wanted})"
        )
    return value


def normalised(tree: Json, type_: Type, validation: FieldValidation) -> Decoded:
    """Bring a tree into its stored form. Raises BadRequest for what the schema does not allow."""
    problems = normalise(type_, tree)
    if not problems:
        return Decoded(tree)
    subject = f'{type_.short_name} in version "{type_.version}" cannot be handled as a'
    wrong = [problem for problem in problems if problem.code != "unknown"]
    if wrong:
        raise BadRequest(f"{subject} {type_.short_name}: {wrong[0].message}")
    if validation is FieldValidation.STRICT:
        raise BadRequest(f"{subject} {type_.short_name}: {strict_message(problems)}")
    if validation is FieldValidation.WARN:
        return Decoded(tree, [problem.message for problem in problems])
    return Decoded(tree)


def strict_message(problems: Iterable[Problem]) -> str:
    """Return how a strict decoder complains."""
    return "strict decoding error: " + ", ".join(problem.message for problem in problems)


def decode(body: bytes, media_type: str, type_: Type, validation: FieldValidation) -> Decoded:
    """Return the object in a body, ready for its strategy."""
    if media_type == protobuf.MEDIA_TYPE:
        value: Any = protobuf.decode(body, type_)
    else:
        value = parse(body, media_type)
    return normalised(tree_of(value, type_), type_, validation)
