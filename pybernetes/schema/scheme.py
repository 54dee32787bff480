"""The registry of kinds: kind ⇄ type ⇄ plural ⇄ scope ⇄ short names. There is no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pybernetes.machinery.resource import Resource

from .types import Subresource, Type, Types

_LIST_SUFFIX = "List"


@dataclass(frozen=True, slots=True, eq=False)
class ResourceType:
    """A resource that is served: its names, what it supports, and the type of its objects."""

    resource: Resource
    singular: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    subresources: Mapping[str, Subresource]
    type: Type
    list_kind: str


class Scheme:
    """Every kind and every resource of the protos."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self._kinds: dict[tuple[str, str, str], Type] = {}
        self._by_plural: dict[tuple[str, str, str], ResourceType] = {}
        self._by_kind: dict[tuple[str, str, str], ResourceType] = {}
        for type_ in types:
            if type_.kind is None:
                continue
            self._kinds[type_.group, type_.version, type_.short_name] = type_
            if type_.kind.plural:
                served = _resource_type(type_)
                self._by_plural[type_.group, type_.version, type_.kind.plural] = served
                self._by_kind[type_.group, type_.version, type_.short_name] = served

    def resources(self) -> Sequence[ResourceType]:
        """Every resource, group by group."""
        return tuple(self._by_plural.values())

    def group_versions(self) -> Sequence[tuple[str, str]]:
        """Every (group, version) that has a resource; the core group first."""
        found = dict.fromkeys((group, version) for group, version, _ in self._by_plural)
        return tuple(sorted(found, key=lambda pair: pair[0] != ""))

    def by_plural(self, group: str, version: str, plural: str) -> ResourceType | None:
        """The resource that URLs call `plural`."""
        return self._by_plural.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> ResourceType | None:
        """The resource that holds objects of a kind."""
        return self._by_kind.get((group, version, kind))

    def kind(self, group: str, version: str, kind: str) -> Type | None:
        """The type of a kind, also of those that no resource holds, such as Scale or PodList.

        The kinds of meta/v1 (Status, DeleteOptions) are found under `v1` without a group.
        """
        found = self._kinds.get((group, version, kind))
        if found is None and not group:
            found = self._kinds.get(("meta.k8s.io", version, kind))
        return found


@cache
def load() -> Scheme:
    """The scheme of this installation's protos; made once."""
    data = resources.files(__package__).joinpath("protos/kube.fds").read_bytes()
    return Scheme(Types(data))


def _resource_type(type_: Type) -> ResourceType:
    rules = type_.kind
    assert rules is not None
    resource = Resource(
        type_.group, type_.version, type_.short_name, rules.plural, rules.namespaced
    )
    return ResourceType(
        resource=resource,
        singular=rules.singular,
        short_names=rules.short_names,
        categories=rules.categories,
        verbs=rules.verbs,
        subresources=rules.subresources,
        type=type_,
        list_kind=type_.short_name + _LIST_SUFFIX,
    )
