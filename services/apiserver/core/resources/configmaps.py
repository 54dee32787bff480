"""v1 ConfigMap and Secret. Source: Kubernetes pkg/apis/core/validation/validation.go."""

import base64
import binascii
import json
from collections.abc import Iterable

from pybernetes.machinery import names
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Context, Strategy, selectable
from ..rules import Causes

BYTES_MAX = 1024 * 1024
"""Of all values of one object together. As Kubernetes."""

_FROZEN = "field is immutable when `immutable` is set"
_REQUIRED_KEYS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_BASIC_AUTH = ("username", "password")
_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
_ACCOUNT_NAME = "kubernetes.io/service-account.name"


class ConfigMaps(Strategy):
    """v1 ConfigMap."""

    columns = (
        cols.NAME,
        cols.made(
            "Data",
            lambda obj: len(trees.members(obj, "data")) + len(trees.members(obj, "binaryData")),
            "How many values there are.",
            type="string",
        ),
        cols.AGE,
    )

    def validate(self, obj: Json) -> Causes:
        """Keys must make file names and be distinct; the whole must not be huge."""
        data, binary = trees.members(obj, "data"), trees.members(obj, "binaryData")
        yield from _validate_keys("data", data)
        yield from _validate_keys("binaryData", binary)
        for key in sorted(set(data) & set(binary)):
            yield rules.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size = sum(len(value.encode()) for value in data.values())
        size += sum(_decoded_length(value) for value in binary.values())
        if size > BYTES_MAX:
            yield rules.too_long("", BYTES_MAX)

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """An immutable map stays as it is, immutable too."""
        yield from _validate_immutable(new, old, ("data", "binaryData"))


class Secrets(Strategy):
    """v1 Secret."""

    field_paths = selectable("type")
    columns = (
        cols.NAME,
        cols.at("Type", "type"),
        cols.made(
            "Data",
            lambda obj: len(trees.members(obj, "data")),
            "How many values there are.",
            type="string",
        ),
        cols.AGE,
    )

    def default(self, obj: Json) -> None:
        """Move stringData into data; the type is Opaque unless said otherwise."""
        if not obj.get("type"):
            obj["type"] = "Opaque"
        plain = obj.pop("stringData", None)
        if plain:
            data = trees.ensure(obj, "data")
            for key, value in plain.items():
                data[key] = base64.b64encode(value.encode()).decode()

    def prepare_for_update(self, new: Json, old: Json, ctx: Context) -> None:
        """Keep the type if the update does not say one."""
        super().prepare_for_update(new, old, ctx)
        if not new.get("type"):
            new["type"] = old.get("type", "Opaque")

    def validate(self, obj: Json) -> Causes:
        """Keys must make file names; some types need certain keys."""
        data = trees.members(obj, "data")
        yield from _validate_keys("data", data)
        if sum(_decoded_length(value) for value in data.values()) > BYTES_MAX:
            yield rules.too_long("data", BYTES_MAX)
        type_ = trees.text(obj, "type")
        for key in _REQUIRED_KEYS.get(type_, ()):
            if key not in data:
                yield rules.required(f"data[{key}]")
        if type_ == "kubernetes.io/basic-auth" and not set(_BASIC_AUTH) & set(data):
            for key in _BASIC_AUTH:
                yield rules.required(f"data[{key}]")
        if type_ == "kubernetes.io/dockerconfigjson" and ".dockerconfigjson" in data:
            yield from _validate_json("data[.dockerconfigjson]", data[".dockerconfigjson"])
        if type_ == _ACCOUNT_TOKEN and not trees.annotations_of(obj).get(_ACCOUNT_NAME):
            yield rules.required(f"metadata.annotations[{_ACCOUNT_NAME}]")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The type stays; an immutable secret stays as it is."""
        yield from rules.immutable("type", new.get("type"), old.get("type"))
        yield from _validate_immutable(new, old, ("data",))


def _validate_keys(field: str, data: Iterable[str]) -> Causes:
    for key in data:
        for message in names.config_key(key):
            yield rules.invalid(f"{field}[{key}]", key, message)


def _validate_immutable(new: Json, old: Json, keys: tuple[str, ...]) -> Causes:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield rules.forbidden("immutable", _FROZEN)
    for key in keys:
        if (new.get(key) or {}) != (old.get(key) or {}):
            yield rules.forbidden(key, _FROZEN)


def _validate_json(field: str, encoded: str) -> Causes:
    try:
        json.loads(base64.b64decode(encoded))
    except (ValueError, binascii.Error) as error:
        yield rules.invalid(field, "<secret contents redacted>", str(error))


def _decoded_length(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")
