"""What the client asks of an object's type: where its collection is, and what it is called."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Protocol, TypeVar

from pybernetes.machinery.resource import Resource

Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is empty."""


class Meta(Protocol):
    """The part of ObjectMeta that the client itself reads."""

    @property
    def name(self) -> str:
        """Unique within the namespace and the resource."""
        ...

    @property
    def namespace(self) -> str:
        """Empty for cluster-scoped objects."""
        ...

    @property
    def uid(self) -> str:
        """Unique for ever."""
        ...

    @property
    def resource_version(self) -> str:
        """The revision of the object's last write."""
        ...

    @property
    def deletion_timestamp(self) -> datetime | None:
        """When it was asked to go; None if it was not."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """What selectors match."""
        ...


class Kind(Protocol):
    """A typed view of one kind: the Structs of `pybernetes.api`, or one made in a test."""

    resource: ClassVar[Resource]

    @property
    def metadata(self) -> Meta:
        """Name, uid, version."""
        ...


T = TypeVar("T", bound=Kind)


def key_of(obj: Kind) -> Key:
    """Return (namespace, name)."""
    return (obj.metadata.namespace, obj.metadata.name)
