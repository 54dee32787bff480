"""Configuration: one frozen dataclass is the flags, the environment and the help of a program."""

import argparse
import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

C = TypeVar("C")
T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class ConfigError(ValueError):
    """The program was started with settings that make no sense; the text says which."""


def option(default: T, help: str, *, secret: bool = False) -> T:
    """Declare a setting; `dataclasses.MISSING` as its default makes it required.

    A secret one is never printed.
    """
    field: Any = dataclasses.field(default=default, metadata={"help": help, "secret": secret})
    return cast("T", field)


def parse(config: type[C], program: str, argv: Sequence[str], environ: Mapping[str, str]) -> C:
    """Read settings: a flag wins over the environment, which wins over the default.

    `--help` prints and exits as argparse does. Raises ConfigError for what is unknown or malformed.
    """
    hints = get_type_hints(config)
    fields = dataclasses.fields(cast("Any", config))
    prefix = program.upper().replace("-", "_") + "_"
    _refuse_unknown_environment(prefix, {field.name for field in fields}, environ)
    parser = _parser(program, config.__doc__ or "", fields, hints, prefix)
    given = vars(parser.parse_args(argv))
    values: dict[str, Any] = {}
    for field in fields:
        variable = prefix + field.name.upper()
        text = given[field.name]
        source = f"--{field.name.replace('_', '-')}"
        if text is None and variable in environ:
            text, source = environ[variable], variable
        if text is not None:
            values[field.name] = _convert(hints[field.name], text, source)
        elif field.default is dataclasses.MISSING:
            raise ConfigError(f"--{field.name.replace('_', '-')}: Required value")
    try:
        return config(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def describe(config: object) -> dict[str, str]:
    """Return the effective settings as texts, secrets hidden: for the first log line."""
    return {
        field.name: "<hidden>"
        if field.metadata.get("secret")
        else _text(getattr(config, field.name))
        for field in dataclasses.fields(cast("Any", config))
    }


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _refuse_unknown_environment(prefix: str, names: set[str], environ: Mapping[str, str]) -> None:
    for variable in environ:
        if variable.startswith(prefix) and variable[len(prefix) :].lower() not in names:
            raise ConfigError(f"{variable}: unknown setting in the environment")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(message)


def _parser(
    program: str,
    about: str,
    fields: Sequence[dataclasses.Field[Any]],
    hints: Mapping[str, Any],
    prefix: str,
) -> argparse.ArgumentParser:
    parser = _Parser(prog=program, description=about, allow_abbrev=False)
    for field in fields:
        default = (
            "required"
            if field.default is dataclasses.MISSING
            else f"default: {_text(field.default) or 'none'}"
        )
        help = f"{field.metadata['help']} [{default}; {prefix}{field.name.upper()}]"
        flag = "--" + field.name.replace("_", "-")
        if hints[field.name] is bool:
            parser.add_argument(
                flag, dest=field.name, nargs="?", const="true", help=help.replace("%", "%%")
            )
        else:
            parser.add_argument(flag, dest=field.name, help=help.replace("%", "%%"))
    return parser


def _convert(hint: Any, text: str, source: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [kind for kind in get_args(hint) if kind is not type(None)]
        return _convert(inner[0], text, source) if text else None
    if get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if hint is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ConfigError(f"{source}: Invalid value: {text!r}: must be true or false")
    convert: Callable[[str], Any] = {int: int, float: float, Path: Path}.get(hint, str)
    try:
        return convert(text)
    except ValueError as error:
        kind = {int: "an integer", float: "a number"}[hint]
        raise ConfigError(f"{source}: Invalid value: {text!r}: must be {kind}") from error
