"""Timestamps as the API spells them: RFC 3339 in UTC, to the second or to the microsecond."""

from datetime import UTC, datetime


def format(moment: datetime) -> str:
    """Return meta/v1 Time: `2006-01-02T15:04:05Z`, the fraction cut off."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro(moment: datetime) -> str:
    """Return meta/v1 MicroTime: `2006-01-02T15:04:05.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """Return the moment, in UTC. Raises ValueError if the text is no RFC 3339 date-time.

    Digits beyond microseconds are cut off.
    """
    if len(text) < len("2006-01-02T15:04:05Z") or text[10] not in "Tt":
        raise ValueError(f"expected an RFC 3339 date-time, got {text!r}")
    moment = datetime.fromisoformat(_trim_fraction(text))
    if moment.tzinfo is None:
        raise ValueError(f"expected a time zone in {text!r}")
    return moment.astimezone(UTC)


def _trim_fraction(text: str) -> str:
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
