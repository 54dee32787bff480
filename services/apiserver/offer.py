"""What this server offers of the schema's resources: those that it really implements."""

import dataclasses
from collections.abc import Iterator, Sequence

from pybernetes.machinery.errors import MethodNotAllowed, NotFound
from pybernetes.schema.scheme import ResourceType, Scheme

_SUBRESOURCES = frozenset(
    {
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "finalize",
        "log",
        "resize",
        "scale",
        "status",
    }
)
_ABSENT = frozenset(
    {("", "componentstatuses"), ("authorization.k8s.io", "selfsubjectrulesreviews")}
)

NOT_FOUND_TEXT = "the server could not find the requested resource"


class _Trimmed(Scheme):
    """The scheme without what is not implemented."""

    def __init__(self, whole: Scheme) -> None:
        super().__init__(whole.types)
        served = list(_implemented(whole))
        self._by_plural = {(*_place(each), each.resource.plural): each for each in served}
        self._by_kind = {(*_place(each), each.resource.kind): each for each in served}


def _place(served: ResourceType) -> tuple[str, str]:
    return served.resource.group, served.resource.version


class Offer:
    """The resources that are served, by their place in the API."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme: Scheme = _Trimmed(scheme)

    def resources(self) -> Sequence[ResourceType]:
        """Return every resource served."""
        return self.scheme.resources()

    def find(self, group: str, version: str, plural: str) -> ResourceType:
        """Return a resource. Raises NotFound."""
        found = self.scheme.by_plural(group, version, plural)
        if found is None:
            raise NotFound(NOT_FOUND_TEXT)
        return found


def check_verb(served: ResourceType, subresource: str, verb: str) -> None:
    """Raise MethodNotAllowed, or NotFound without such a subresource."""
    verbs: tuple[str, ...] = served.verbs
    if subresource:
        if subresource not in served.subresources:
            raise NotFound(NOT_FOUND_TEXT)
        verbs = served.subresources[subresource].verbs
    if verb not in verbs:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")


def _implemented(scheme: Scheme) -> Iterator[ResourceType]:
    for served in scheme.resources():
        if (served.resource.group, served.resource.plural) in _ABSENT:
            continue
        yield dataclasses.replace(
            served,
            subresources={
                name: subresource
                for name, subresource in served.subresources.items()
                if name in _SUBRESOURCES
            },
        )
