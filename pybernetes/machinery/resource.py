"""A resource: the coordinates of one collection of objects in the API."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
"""An object as its JSON tree, unknown fields included."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One collection: `apps/v1 deployments`, its kind and its scope."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """What objects carry as `apiVersion`: `v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version
