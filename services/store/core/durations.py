"""Durations as etcd's flags write them: 300ms, 1h30m. Pure."""

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Return seconds; ValueError for what is no duration."""
    seconds, at = 0.0, 0
    while found := _PART.match(text, at):
        seconds += float(found[1]) * _UNITS_S[found[2]]
        at = found.end()
    if at == 0 or at < len(text):
        raise ValueError(f"{text!r}: must be a duration such as 300ms, 10s or 1h30m")
    return seconds
