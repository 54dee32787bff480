"""Descriptors and their options as tables: one `Type` per message, one `Field` per field.

The descriptor set is package data, generated from protos/kube. It is parsed once; a type's fields
are read when somebody first asks for them, because a process needs few of the 500 messages.
"""

import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE: Final = "kube."
_MESSAGES_OF_FILE: Final = 4  # field numbers in descriptor.proto, as source locations use them
_FIELDS_OF_MESSAGE: Final = 2


class Scalar(enum.Enum):
    """What one value of a field is."""

    STRING = "string"
    BOOL = "boolean"
    INT32 = "int32"
    INT64 = "int64"
    DOUBLE = "double"
    BYTES = "bytes"
    MESSAGE = "object"


_SCALARS: Final = {
    9: Scalar.STRING,
    8: Scalar.BOOL,
    5: Scalar.INT32,
    3: Scalar.INT64,
    1: Scalar.DOUBLE,
    12: Scalar.BYTES,
    11: Scalar.MESSAGE,
}

ZERO: Final[Mapping[Scalar, Any]] = {
    Scalar.STRING: "",
    Scalar.BOOL: False,
    Scalar.INT32: 0,
    Scalar.INT64: 0,
    Scalar.DOUBLE: 0.0,
    Scalar.BYTES: "",
}


class _Absent(enum.Enum):
    ABSENT = enum.auto()


ABSENT: Final = _Absent.ABSENT
"""The default of a field that has none; `None` would be JSON's null."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field as it stands in JSON, with the rules of protos/kube/options.proto."""

    json: str
    name: str
    number: int
    scalar: Scalar
    type: "Type | None"
    repeated: bool
    map: bool
    presence: bool
    """An empty value differs from an absent one (a pointer in Go)."""
    required: bool
    keep: bool
    """Written though empty."""
    value: bool
    inline: bool
    default: Any
    enum: tuple[str, ...]
    merge_key: str
    patch: frozenset[str]
    list: str
    keys: tuple[str, ...]
    immutable: bool
    unique: bool
    may_be_empty: bool

    @property
    def single(self) -> bool:
        """Whether the field holds one value: neither list nor map."""
        return not self.repeated and not self.map


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource and the kind its requests carry."""

    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KindRules:
    """What makes a message a kind; without a plural no resource serves it."""

    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    subresources: Mapping[str, Subresource]


class Type:
    """One message: its place in the API, and its fields by JSON name."""

    def __init__(self, types: "Types", file: Any, index: int) -> None:
        proto = file.message_type[index]
        self._types = types
        self._file = file
        self._index = index
        self._proto = proto
        rules = proto.options.Extensions[types.message_rules]
        self.short_name: Final[str] = proto.name
        self.package: Final[str] = file.package.removeprefix(PACKAGE)
        self.group: Final[str] = file.options.Extensions[types.group]
        self.version: Final[str] = file.options.Extensions[types.version]
        self.json: Final[str] = rules.json
        self.atomic: Final[bool] = rules.atomic
        self.kind: Final[KindRules | None] = (
            _kind_rules(self, rules.kind) if rules.HasField("kind") else None
        )

    def __repr__(self) -> str:
        return f"<Type {self.name}>"

    @property
    def name(self) -> str:
        """Package and message, such as `apps.v1.Deployment`."""
        return f"{self.package}.{self.short_name}"

    @property
    def api_version(self) -> str:
        """Group and version as apiVersion has them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def own_fields(self) -> tuple[Field, ...]:
        """The fields as declared; inlined messages stand as one field."""
        return tuple(self._types.fields_of(self._file, self._proto))

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The fields of the JSON object by their JSON name: inlined messages are dissolved."""
        fields: dict[str, Field] = {}
        if self.kind is not None:
            fields["apiVersion"] = _type_meta_field("apiVersion", 2)
            fields["kind"] = _type_meta_field("kind", 1)
        for field in self.own_fields:
            if field.inline and field.type is not None:
                fields.update(field.type.fields)
            else:
                fields[field.json] = field
        return fields

    @cached_property
    def comment(self) -> str:
        """The comment above the message in its .proto file."""
        return self._types.comment(self._file, (_MESSAGES_OF_FILE, self._index))

    @cached_property
    def field_comments(self) -> Mapping[str, str]:
        """The comments above the fields, by JSON name."""
        comments: dict[str, str] = {}
        if self.kind is not None:
            comments["apiVersion"] = _API_VERSION_COMMENT
            comments["kind"] = _KIND_COMMENT
        path = (_MESSAGES_OF_FILE, self._index, _FIELDS_OF_MESSAGE)
        for index, field in enumerate(self.own_fields):
            if field.inline and field.type is not None:
                comments.update(field.type.field_comments)
            else:
                comments[field.json] = self._types.comment(self._file, (*path, index))
        return comments


_API_VERSION_COMMENT: Final = (
    "API group and version this object is written in, such as v1 or apps/v1."
)
_KIND_COMMENT: Final = "What this object is, such as Pod; fixed when the object is made."


class Types:
    """Every message of a descriptor set by name; iterating yields them in the files' order."""

    def __init__(self, descriptor_set: bytes) -> None:
        """Parse a serialized FileDescriptorSet that includes its imports."""
        plain = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set)
        pool = descriptor_pool.DescriptorPool()
        for file in plain.file:
            if file.name in ("google/protobuf/descriptor.proto", "kube/options.proto"):
                pool.Add(file)
        set_class: Any = message_factory.GetMessageClass(
            pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")
        )
        self.group: Any = pool.FindExtensionByName("kube.group")
        self.version: Any = pool.FindExtensionByName("kube.version")
        self.message_rules: Any = pool.FindExtensionByName("kube.m")
        self.field_rules: Any = pool.FindExtensionByName("kube.f")
        self._comments: dict[str, dict[tuple[int, ...], str]] = {}
        self._types: dict[str, Type] = {}
        for file in set_class.FromString(descriptor_set).file:
            if file.package.startswith(PACKAGE):
                for index in range(len(file.message_type)):
                    type_ = Type(self, file, index)
                    self._types[type_.name] = type_

    def __getitem__(self, name: str) -> Type:
        return self._types[name]

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __iter__(self) -> Iterator[Type]:
        return iter(self._types.values())

    def comment(self, file: Any, path: tuple[int, ...]) -> str:
        """The leading comment at a source location, as one line per paragraph."""
        comments = self._comments.get(file.name)
        if comments is None:
            comments = self._comments[file.name] = {
                tuple(location.path): _paragraphs(location.leading_comments)
                for location in file.source_code_info.location
                if location.leading_comments
            }
        return comments.get(path, "")

    def fields_of(self, file: Any, proto: Any) -> Iterator[Field]:
        """Read the fields of one message descriptor."""
        maps = {f".{file.package}.{proto.name}.{entry.name}": entry for entry in proto.nested_type}
        for source in proto.field:
            entry = maps.get(source.type_name)
            value = source if entry is None else entry.field[1]
            scalar = _SCALARS[value.type]
            rules = source.options.Extensions[self.field_rules]
            message = scalar is Scalar.MESSAGE
            yield Field(
                json=source.json_name,
                name=source.name,
                number=source.number,
                scalar=scalar,
                type=self._types[value.type_name.removeprefix("." + PACKAGE)] if message else None,
                repeated=source.label == source.LABEL_REPEATED and entry is None,
                map=entry is not None,
                presence=source.proto3_optional or message,
                required=rules.required,
                keep=(rules.keep or rules.required) and not rules.omit,
                value=rules.value,
                inline=rules.inline,
                default=json.loads(rules.default) if rules.default else ABSENT,
                enum=tuple(rules.enum),
                merge_key=rules.merge_key,
                patch=frozenset(rules.patch.split(",")) if rules.patch else frozenset(),
                list=rules.list,
                keys=tuple(rules.keys),
                immutable=rules.immutable,
                unique=rules.unique,
                may_be_empty=rules.may_be_empty,
            )


ALL_VERBS: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)
SUBRESOURCE_VERBS: Final = ("get", "patch", "update")


def _kind_rules(type_: Type, rules: Any) -> KindRules:
    subresources = {
        sub.name: Subresource(
            group=sub.group if sub.version else type_.group,
            version=sub.version or type_.version,
            kind=sub.kind or type_.short_name,
            verbs=tuple(sub.verbs) or SUBRESOURCE_VERBS,
        )
        for sub in rules.subresources
    }
    return KindRules(
        plural=rules.plural,
        singular=rules.singular,
        namespaced=rules.namespaced,
        short_names=tuple(rules.short_names),
        categories=tuple(rules.categories),
        verbs=tuple(rules.verbs) or ALL_VERBS,
        subresources=subresources,
    )


def _type_meta_field(json_name: str, number: int) -> Field:
    """The fields apiVersion and kind, which stand outside the message on the wire.

    Never required: clients leave them out of the items of a list.
    """
    return Field(
        json=json_name,
        name=json_name,
        number=number,
        scalar=Scalar.STRING,
        type=None,
        repeated=False,
        map=False,
        presence=False,
        required=False,
        keep=False,
        value=False,
        inline=False,
        default=ABSENT,
        enum=(),
        merge_key="",
        patch=frozenset(),
        list="",
        keys=(),
        immutable=False,
        unique=False,
        may_be_empty=False,
    )


def _paragraphs(comment: str) -> str:
    """Join the lines of each paragraph of a comment."""
    paragraphs = comment.strip().split("\n\n")
    return "\n".join(" ".join(text.split()) for text in paragraphs)
