"""Write pybernetes/api: one module of frozen msgspec Structs per group and version."""

import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pybernetes.schema.types import Field, Scalar, Type, Types

HEADER = '# Generated from protos/kube by tools/genkube.py. Do not edit.\n"""%s"""\n\n'
PYTHON = {
    Scalar.STRING: "str",
    Scalar.BOOL: "bool",
    Scalar.INT32: "int",
    Scalar.INT64: "int",
    Scalar.DOUBLE: "float",
    Scalar.BYTES: "str",
}
ZERO = {"str": '""', "bool": "False", "int": "0", "float": "0.0"}
SPECIAL = {
    "quantity": "str",
    "time": "datetime",
    "microtime": "datetime",
    "duration": "str",
    "intorstring": "int | str",
    "raw": "Any",
    "strings": "tuple[str, ...]",
}
STRUCT_OPTIONS = "frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name"


def modules(descriptors: bytes) -> dict[str, str]:
    """File name to text, for every module of pybernetes/api."""
    types = Types(descriptors)
    packages: dict[str, list[Type]] = {}
    for type_ in types:
        if not type_.json:
            packages.setdefault(type_.package, []).append(type_)
    irregular = irregular_names(packages)
    texts = {
        module_name(package) + ".py": Module(package, members, irregular).text()
        for package, members in packages.items()
    }
    texts["_names.py"] = names_module(irregular)
    texts["__init__.py"] = HEADER % (
        "Typed, read-only views of Kubernetes objects: one module per group and version.\n\n"
        "    pod = msgspec.json.decode(raw, type=core_v1.Pod)\n\n"
        "Absent fields read as their zero value, or None where Kubernetes tells absent from zero.\n"
        "Unknown fields are ignored. Objects that are written are JSON trees.\n"
    )
    return texts


def irregular_names(packages: dict[str, list[Type]]) -> dict[str, str]:
    """Attributes whose JSON name is not plain camel case, where no other field spells it so."""
    spellings: dict[str, set[str]] = {}
    for type_ in (type_ for members in packages.values() for type_ in members):
        for name in type_.fields:
            spellings.setdefault(snake(name), set()).add(name)
    return {
        attribute: name
        for attribute, (name, *others) in spellings.items()
        if not others and name != camel(attribute)
    }


class Module:
    """The text of one module."""

    def __init__(self, package: str, types: list[Type], irregular: dict[str, str]) -> None:
        self.package = package
        self.types = types
        self.irregular = irregular
        self.imports: dict[str, set[str]] = {}
        self.uses: set[str] = set()

    def text(self) -> str:
        """Render the module, classes after those they use."""
        classes = "".join(self.render(type_) for type_ in in_order(self.types))
        first = next(iter(self.types))
        lines = [HEADER % f"The kinds of {first.api_version}."]
        if "datetime" in self.uses:
            lines.append("from datetime import datetime\n")
        typing = sorted({"Any", "ClassVar"} & self.uses)
        if typing:
            lines.append(f"from typing import {', '.join(typing)}\n")
        lines.append(
            "\nfrom msgspec import Struct, field\n\n"
            if "field" in self.uses
            else "\nfrom msgspec import Struct\n\n"
        )
        if "ClassVar" in self.uses:
            lines.append("from pybernetes.machinery.resource import Resource\n\n")
        lines.append("from ._names import json_name\n")
        for module, names in sorted(self.imports.items()):
            lines.append(f"from .{module} import {', '.join(sorted(names))}\n")
        return "".join(lines) + classes

    def render(self, type_: Type) -> str:
        """Render one class."""
        comment = type_.comment.replace("\\", "\\\\") or f"{type_.short_name}."
        lines = [f"\n\nclass {type_.short_name}(\n    Struct, {STRUCT_OPTIONS}\n):\n"]
        lines.append(f'    """{comment}"""\n\n')
        if type_.kind is not None and type_.kind.plural:
            self.uses.add("ClassVar")
            lines.append(
                f"    resource: ClassVar[Resource] = Resource(\n        {type_.group!r}, "
                f"{type_.version!r}, {type_.short_name!r}, {type_.kind.plural!r}, "
                f"{type_.kind.namespaced}\n    )\n".replace("'", '"')
            )
        if type_.kind is not None:
            self.uses.add("field")
            lines.append(
                f'    api_version: str = field(default_factory=lambda: "{type_.api_version}")\n'
            )
            lines.append(f'    kind: str = field(default_factory=lambda: "{type_.short_name}")\n')
        for field in type_.fields.values():
            if type_.kind is None or field.json not in ("apiVersion", "kind"):
                hint, default = self.annotation(field)
                if self.irregular.get(snake(field.json), camel(snake(field.json))) != field.json:
                    self.uses.add("field")
                    default = f'field(default={default}, name="{field.json}")'
                lines.append(f"    {self.attribute(field)}: {hint} = {default}\n")
        return "".join(lines)

    def attribute(self, field: Field) -> str:
        """The attribute's name."""
        return snake(field.json)

    def annotation(self, field: Field) -> tuple[str, str]:
        """Type hint and default of a field."""
        item = PYTHON.get(field.scalar) or self.reference(field)
        if field.repeated:
            return f"tuple[{item}, ...]", "()"
        if field.map:
            return f"dict[str, {item}]", "{}"
        if field.type is None:
            return (f"{item} | None", "None") if field.presence else (item, ZERO[item])
        if field.type.json == "raw":
            return "Any", "None"
        if field.type.json == "strings":
            return item, "()"
        if field.type.json == "quantity" and field.value:
            return "str", '""'
        if field.value and not field.type.json:
            return item, f"{item}()"
        return f"{item} | None", "None"

    def reference(self, field: Field) -> str:
        """The Python type of a message field's value, imported when it is another module's."""
        assert field.type is not None
        if field.type.json:
            hint = SPECIAL[field.type.json]
            self.uses.add(hint)
            return hint
        name = field.type.short_name
        if field.type.package == self.package:
            return name
        module = module_name(field.type.package)
        clash = any(type_.short_name == name for type_ in self.types)
        alias = f"{name} as {camel(module.split('_')[0]).capitalize()}{name}" if clash else name
        self.imports.setdefault(module, set()).add(alias)
        return alias.rsplit(" ", 1)[-1]


def in_order(types: list[Type]) -> Iterator[Type]:
    """Each type after the types of its own package that it refers to."""
    done: set[str] = set()
    own = {type_.name for type_ in types}

    def visit(type_: Type) -> Iterator[Type]:
        if type_.name in done:
            return
        done.add(type_.name)
        for field in type_.fields.values():
            if field.type is not None and field.type.name in own:
                yield from visit(field.type)
        yield type_

    for type_ in types:
        yield from visit(type_)


def names_module(irregular: dict[str, str]) -> str:
    """The module that turns attribute names back into JSON names."""
    table = "".join(f'    "{key}": "{value}",\n' for key, value in sorted(irregular.items()))
    return (
        HEADER % "From the attributes' names to those in JSON."
        + "from typing import Final\n\n"
        + f"_IRREGULAR: Final = {{\n{table}}}\n\n\n"
        + "def json_name(attribute: str) -> str:\n"
        + '    """The JSON name of an attribute: pod_ip is podIP, node_name is nodeName."""\n'
        + "    known = _IRREGULAR.get(attribute)\n"
        + "    if known is not None:\n        return known\n"
        + '    head, *rest = attribute.split("_")\n'
        + '    return head + "".join(word.capitalize() for word in rest)\n'
    )


def module_name(package: str) -> str:
    """The module for a package: apps.v1 is apps_v1."""
    return package.replace(".", "_")


def snake(name: str) -> str:
    """Camel case to snake case; an acronym and its plural are one word."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-rt-z]|[A-Z]s[a-z])", r"\1_\2", name)
    name = name.lower()
    return name + "_" if keyword.iskeyword(name) else name


def camel(name: str) -> str:
    """Snake case to camel case, for regular names."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
