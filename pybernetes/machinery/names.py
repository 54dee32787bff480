"""Names: what may be called how, and the random ends of generated names.

The validators return what is wrong, in Kubernetes' words; nothing means valid.
Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go.
"""

import re
from functools import lru_cache

DNS1123_LABEL_LENGTH_MAX = 63
DNS1123_SUBDOMAIN_LENGTH_MAX = 253
GENERATED_SUFFIX_LENGTH = 5

_NAME_LENGTH_MAX = 63
_CACHE_ENTRIES = 8192  # per rule; a cluster says the same few names again and again
_PORT_NAME_LENGTH_MAX = 15

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = rf"({_QUALIFIED})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_C_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"

_ENDS = "must start and end with an alphanumeric character"
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    f"and {_ENDS}"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
    f"'-' or '.', and {_ENDS}"
)
_DNS1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
    "an alphabetic character, and end with an alphanumeric character"
)
_QUALIFIED_RULE = f"must consist of alphanumeric characters, '-', '_' or '.', and {_ENDS}"
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, "
    f"'-', '_' or '.', and {_ENDS}"
)
_CONFIG_KEY_RULE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character"
)
_ENV_RULE = (
    "a valid environment variable name must consist only of printable ASCII characters other than "
    "'='"
)

Messages = tuple[str, ...]
"""What is wrong with a name; empty if nothing is."""


def dns1123_label(value: str) -> Messages:
    """Check a namespace, a container: one part of a DNS name."""
    return _check(value, DNS1123_LABEL_LENGTH_MAX, _LABEL, _LABEL_RULE, "my-name", "123-abc")


def dns1123_subdomain(value: str) -> Messages:
    """Check the name of most kinds: parts joined by dots."""
    return _check(value, DNS1123_SUBDOMAIN_LENGTH_MAX, _SUBDOMAIN, _SUBDOMAIN_RULE, "example.com")


def dns1035_label(value: str) -> Messages:
    """Check a label that must start with a letter, as Services once had to."""
    return _check(value, DNS1123_LABEL_LENGTH_MAX, _DNS1035, _DNS1035_RULE, "my-name", "abc-123")


def wildcard_dns1123_subdomain(value: str) -> Messages:
    """Check a host such as `*.example.com`."""
    return _check(value, DNS1123_SUBDOMAIN_LENGTH_MAX, _WILDCARD, _WILDCARD_RULE, "*.example.com")


def path_segment(value: str) -> Messages:
    """Check the name of an RBAC object: anything that can be one segment of a URL's path."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{char}'" for char in "/%" if char in value)


@lru_cache(maxsize=_CACHE_ENTRIES)
def qualified_name(value: str) -> Messages:
    """Check the key of a label or an annotation: `[prefix/]name`."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        rule = _regex_error(_QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc")
        return (
            f"a qualified name {rule} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        )
    messages: list[str] = []
    if slash and not prefix:
        messages.append("prefix part must be non-empty")
    elif slash:
        messages += [f"prefix part {message}" for message in dns1123_subdomain(prefix)]
    if not name:
        messages.append("name part must be non-empty")
    elif len(name) > _NAME_LENGTH_MAX:
        messages.append(f"name part {_too_long(_NAME_LENGTH_MAX)}")
    if not re.fullmatch(_QUALIFIED, name):
        rule = _regex_error(_QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc")
        messages.append(f"name part {rule}")
    return tuple(messages)


def label_value(value: str) -> Messages:
    """Check the value of a label."""
    return _check(
        value, _NAME_LENGTH_MAX, _LABEL_VALUE, _LABEL_VALUE_RULE, "MyValue", "my_value", "12345"
    )


def config_key(value: str) -> Messages:
    """Check a key of a ConfigMap's or a Secret's data, which becomes a file's name."""
    messages = _check(
        value,
        DNS1123_SUBDOMAIN_LENGTH_MAX,
        _CONFIG_KEY,
        _CONFIG_KEY_RULE,
        "key.name",
        "KEY_NAME",
        "key-name",
    )
    if value in (".", ".."):
        return (*messages, f"must not be '{value}'")
    if value.startswith(".."):
        return (*messages, "must not start with '..'")
    return messages


@lru_cache(maxsize=_CACHE_ENTRIES)
def env_var_name(value: str) -> Messages:
    """Check the name of an environment variable."""
    if not value:
        return ("environment variable name must be non-empty",)
    if any(not " " <= char <= "~" or char == "=" for char in value):
        return (_ENV_RULE,)
    return ()


def c_identifier(value: str) -> Messages:
    """Check an identifier of the language C."""
    if re.fullmatch(_C_IDENTIFIER, value):
        return ()
    rule = (
        "a valid C identifier must start with alphabetic character or '_', followed by a string of "
        "alphanumeric characters or '_'"
    )
    return (_regex_error(rule, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName"),)


@lru_cache(maxsize=_CACHE_ENTRIES)
def port_name(value: str) -> Messages:
    """Check an IANA service name: the name of a container's port."""
    messages = []
    if len(value) > _PORT_NAME_LENGTH_MAX:
        messages.append(f"must be no more than {_PORT_NAME_LENGTH_MAX} characters")
    if not re.fullmatch(r"[-a-z0-9]+", value):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        messages.append("must contain at least one letter (a-z)")
    if "--" in value:
        messages.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        messages.append("must not begin or end with a hyphen")
    return tuple(messages)


def port_number(value: int) -> Messages:
    """Check the number of a port."""
    return () if 1 <= value <= 65535 else ("must be between 1 and 65535, inclusive",)


def generated(base: str, suffix: str) -> str:
    """Return the name that `generateName: base` and a random suffix make: at most 63 long."""
    return base[: _NAME_LENGTH_MAX - len(suffix)] + suffix


@lru_cache(maxsize=_CACHE_ENTRIES)
def _check(value: str, length_max: int, regex: str, rule: str, *examples: str) -> Messages:
    messages = []
    if len(value) > length_max:
        messages.append(_too_long(length_max))
    if not re.fullmatch(regex, value):
        messages.append(_regex_error(rule, regex, *examples))
    return tuple(messages)


def _too_long(length_max: int) -> str:
    return f"must be no more than {length_max} bytes"


def _regex_error(rule: str, regex: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {shown}regex used for validation is '{regex}')"
