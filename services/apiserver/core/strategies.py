"""Which strategy belongs to which resource."""

from .resource import Strategy

_GENERIC = Strategy()
_STRATEGIES: dict[tuple[str, str], Strategy] = {}


def for_resource(group: str, plural: str) -> Strategy:
    """Return the strategy of a resource; the generic one if nothing about it is special."""
    return _STRATEGIES.get((group, plural), _GENERIC)
