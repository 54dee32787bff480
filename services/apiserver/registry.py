"""The objects of the API: create, update, patch, delete, by the rules of their resources.

The order of a write's steps is that of `core/resource.py`. Everything runs in the version that the
caller speaks; what is stored is the resource's storage version.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from pybernetes.component.clock import Clock
from pybernetes.component.ids import Ids
from pybernetes.machinery import errors
from pybernetes.machinery.errors import AlreadyExists, BadRequest, NotFound
from pybernetes.machinery.resource import Json, Resource
from pybernetes.schema.scheme import ResourceType
from pybernetes.schema.validate import validate, validate_update

from . import storage
from .core import convert, deletion, meta, scale, strategies, trees
from .core.resource import Context, Strategy
from .core.validation import check_create, check_update
from .decode import FieldValidation, normalised, tree_of
from .namespaces import check_mortal
from .patches import Patch, PatchRequest
from .transact import Decision, Leave, Outcome, Remove, Store, Transactor

GENERATED_TRIES = 8
"""Names generated before giving up. As Kubernetes."""

_RETURNED = frozenset(
    {"persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas"}
    | {"serviceaccounts", "services"}
)
"""Core resources whose deletion answers with the object; others answer with a Status."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a write is to be done."""

    dry_run: bool = False
    validation: FieldValidation = FieldValidation.WARN


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write."""

    raw: bytes
    """JSON of the object, or of a Status."""
    is_new: bool = False
    warnings: list[str] = field(default_factory=list)


class Registry:
    """Writes of every resource."""

    def __init__(
        self, transactor: Transactor, clock: Clock, ids: Ids, *, eviction_toleration_s: int
    ) -> None:
        self._transactor = transactor
        self._eviction_toleration_s = eviction_toleration_s
        self._clock = clock
        self._ids = ids

    async def create(
        self, served: ResourceType, namespace: str, tree: Json, options: Options
    ) -> Written:
        """Store a new object, which the schema has allowed. Raises AlreadyExists."""
        resource = served.resource
        generates = not trees.name_of(tree) and bool(trees.text(tree, "metadata.generateName"))
        for _ in range(GENERATED_TRIES if generates else 1):
            new = _copy(tree)
            self._prepare_new(new, served, namespace)
            try:
                outcome = await self._transactor.write(
                    convert.storage_of(resource),
                    trees.namespace_of(new),
                    trees.name_of(new),
                    _if_absent(new, resource),
                    dry_run=options.dry_run,
                )
            except AlreadyExists:
                if not generates:
                    raise
                continue
            return Written(storage.as_served(outcome.raw, resource), is_new=True)
        error = errors.already_exists(resource, trees.name_of(new))
        error.message += "; the server was not able to generate a unique name for the object"
        raise error

    async def update(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        tree: Json,
        options: Options,
        *,
        subresource: str = "",
    ) -> Written:
        """Replace an object, or the part of it that a subresource is."""

        def decide(old: Json | None) -> Decision:
            return self._replace(served, namespace, name, old, _copy(tree), subresource)

        return await self._write(served, namespace, name, decide, options)

    async def patch(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        request: PatchRequest,
        options: Options,
        *,
        subresource: str = "",
    ) -> Written:
        """Patch an object, again if others write it meanwhile."""
        warnings: list[str] = []
        patch = Patch(request, served.type)

        def decide(old: Json | None) -> Decision:
            if old is None:
                raise errors.not_found(served.resource, name)
            patched = tree_of(patch.applied_to(old), served.type)
            decoded = normalised(patched, served.type, options.validation)
            warnings[:] = decoded.warnings
            return self._replace(served, namespace, name, old, decoded.tree, subresource)

        return await self._write(served, namespace, name, decide, options, warnings)

    async def update_scale(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        options: Options,
    ) -> Written:
        """Change an object through its Scale; `change` turns the Scale now into the one wanted."""
        resource = served.resource

        def decide(old: Json | None) -> Decision:
            if old is None:
                raise errors.not_found(resource, name)
            wanted = change(scale.view(old, resource))
            causes = list(scale.validate(wanted))
            if causes:
                raise errors.invalid(scale.SCALE, name, causes)
            return self._replace(served, namespace, name, old, scale.apply(old, wanted), "")

        written = await self._write(served, namespace, name, decide, options)
        return Written(orjson.dumps(scale.view(orjson.loads(written.raw), resource)))

    async def modify(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        *,
        dry_run: bool = False,
    ) -> Written:
        """Change an object by a rule of our own, such as a binding: no strategy is asked."""

        def decide(old: Json | None) -> Decision:
            if old is None:
                raise errors.not_found(served.resource, name)
            new = change(old)
            return Leave() if new == old else Store(new)

        return await self._write(served, namespace, name, decide, Options(dry_run=dry_run))

    async def delete(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        delete_options: Json,
        *,
        dry_run: bool = False,
    ) -> Written:
        """Delete an object, or begin to; answer with a Status once it is gone."""
        resource = served.resource
        strategy = strategies.for_resource(resource.group, resource.plural)
        check_mortal(resource, name)

        def decide(old: Json | None) -> Decision:
            if old is None:
                raise errors.not_found(resource, name)
            now = self._clock.now()
            match deletion.decide(old, delete_options, strategy, resource, now):
                case deletion.Remove(last):
                    return Remove(last)
                case deletion.Mark(obj):
                    return Store(obj)
                case _:
                    return Leave()

        outcome = await self._transactor.write(
            convert.storage_of(resource), namespace, name, decide, dry_run=dry_run
        )
        if not outcome.is_removed or (not resource.group and resource.plural in _RETURNED):
            return Written(storage.as_served(outcome.raw, resource))
        return Written(orjson.dumps(_success(resource, orjson.loads(outcome.raw))))

    async def delete_if_there(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        delete_options: Json,
        *,
        dry_run: bool = False,
    ) -> None:
        """Delete one of many: others may have been quicker."""
        try:
            await self.delete(served, namespace, name, delete_options, dry_run=dry_run)
        except NotFound:
            return

    async def _write(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        decide: Callable[[Json | None], Decision],
        options: Options,
        warnings: list[str] | None = None,
    ) -> Written:
        resource = served.resource

        def converted(old: Json | None) -> Decision:
            seen = None if old is None else convert.from_storage(old, resource)
            decision = decide(seen)
            if isinstance(decision, Store):
                return Store(convert.to_storage(decision.tree, resource))
            return decision

        outcome: Outcome = await self._transactor.write(
            convert.storage_of(resource), namespace, name, converted, dry_run=options.dry_run
        )
        return Written(storage.as_served(outcome.raw, resource), outcome.is_new, warnings or [])

    def _prepare_new(self, new: Json, served: ResourceType, namespace: str) -> None:
        resource = served.resource
        strategy = strategies.for_resource(resource.group, resource.plural)
        now = self._clock.now()
        strategy.default(new)
        meta.prepare_metadata_for_create(new, resource, namespace, now, self._ids)
        context = Context(now=now, eviction_toleration_s=self._eviction_toleration_s)
        strategy.prepare_for_create(new, context)
        check_create(new, resource, strategy, validate(served.type, new))

    def _replace(
        self,
        served: ResourceType,
        namespace: str,
        name: str,
        old: Json | None,
        new: Json,
        subresource: str,
    ) -> Decision:
        """Decide on an update of `old` to `new`, which is changed on the way."""
        resource = served.resource
        strategy: Strategy = strategies.for_resource(resource.group, resource.plural)
        if old is None:
            return self._create_by_update(served, strategy, namespace, name, new, subresource)
        strategy.default(new)
        meta.prepare_metadata_for_update(new, old, resource, name=name, namespace=namespace)
        context = Context(now=self._clock.now(), subresource=subresource)
        strategy.prepare_for_update(new, old, context)
        structural = [*validate(served.type, new), *validate_update(served.type, new, old)]
        check_update(new, old, resource, strategy, structural, subresource=subresource)
        if deletion.is_removable(new, strategy):
            return Remove(new)
        return Leave() if new == old else Store(new)

    def _create_by_update(
        self,
        served: ResourceType,
        strategy: Strategy,
        namespace: str,
        name: str,
        new: Json,
        subresource: str,
    ) -> Decision:
        metadata = trees.ensure(new, "metadata")
        if subresource or not strategy.creates_on_update or metadata.get("uid"):
            raise errors.not_found(served.resource, name)
        if metadata.get("resourceVersion"):
            raise errors.conflict(served.resource, name, meta.STALE)
        if metadata.setdefault("name", name) != name:
            raise BadRequest(
                f"the name of the object ({metadata['name']}) "
                f"does not match the name on the URL ({name})"
            )
        self._prepare_new(new, served, namespace)
        return Store(new)


def _if_absent(new: Json, resource: Resource) -> Callable[[Json | None], Decision]:
    def decide(old: Json | None) -> Decision:
        if old is not None:
            raise errors.already_exists(resource, trees.name_of(new))
        return Store(convert.to_storage(new, resource))

    return decide


def _success(resource: Resource, last: Json) -> Json:
    details = {
        "name": trees.name_of(last),
        "group": resource.group,
        "kind": resource.plural,
        "uid": trees.text(last, "metadata.uid"),
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def _copy(tree: Json) -> Json:
    copied: Json = orjson.loads(orjson.dumps(tree))
    return copied
