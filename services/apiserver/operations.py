"""The operations of the API on any resource and subresource, for REST and gRPC alike."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import orjson

from pybernetes.component.clock import Clock
from pybernetes.machinery.errors import BadRequest, MethodNotAllowed
from pybernetes.machinery.resource import Json
from pybernetes.schema.normalise import normalise
from pybernetes.schema.scheme import ResourceType
from pybernetes.schema.types import Type

from . import protobuf
from .authn import User
from .core import scale
from .core.resources import pods
from .core.watch_cache import Selection
from .decode import JSON_TYPE, Decoded, decode, parse
from .eviction import Evictions
from .offer import Offer, check_verb
from .patches import Patch, PatchRequest
from .reading import Listed, ListOptions, Reader
from .registry import Options, Registry, Written
from .reviews import Reviews
from .selecting import selection
from .watching import Batch, Watches, WatchOptions

_CREATED: Json = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Success",
    "code": 201,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What an operation is about."""

    served: ResourceType
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Selectors:
    """Selectors as a request spells them."""

    labels: str = ""
    fields: str = ""


class Operations:
    """Everything that can be done with resources."""

    def __init__(
        self,
        offer: Offer,
        registry: Registry,
        reader: Reader,
        watches: Watches,
        evictions: Evictions,
        reviews: Reviews,
        clock: Clock,
    ) -> None:
        self.offer = offer
        self._registry = registry
        self._reader = reader
        self._watches = watches
        self._evictions = evictions
        self._reviews = reviews
        self._clock = clock

    async def get(self, target: Target, resource_version: str = "") -> bytes:
        """Return an object, or a subresource of it, as JSON."""
        check_verb(target.served, target.subresource, "get")
        raw = await self._reader.get(target.served, target.namespace, target.name, resource_version)
        if target.subresource == "scale":
            return orjson.dumps(scale.view(orjson.loads(raw), target.served.resource))
        return raw

    async def list(self, target: Target, selectors: Selectors, options: ListOptions) -> Listed:
        """Return the objects selected."""
        check_verb(target.served, target.subresource, "list")
        return await self._reader.list(target.served, self._selection(target, selectors), options)

    def watch(
        self, target: Target, selectors: Selectors, options: WatchOptions
    ) -> AsyncGenerator[Batch, None]:
        """Return what will happen to the objects selected."""
        check_verb(target.served, target.subresource, "watch")
        chosen = self._selection(target, selectors)
        return self._watches.watch(target.served, chosen, options)

    async def create(
        self,
        target: Target,
        body: bytes,
        options: Options,
        user: User,
        media_type: str = JSON_TYPE,
    ) -> Written:
        """Create an object, or do what creating a subresource means."""
        served, plural = target.served, target.served.resource.plural
        check_verb(served, target.subresource, "create")
        if target.subresource == "binding" or plural == "bindings":
            return await self._bind(target, body, media_type, options)
        if target.subresource == "eviction":
            decoded = self._decode_sub(target, body, media_type, options)
            return await self._evictions.evict(
                served, target.namespace, target.name, decoded.tree, dry_run=options.dry_run
            )
        if target.subresource:
            raise MethodNotAllowed(
                "the server does not allow this method on the requested resource"
            )
        decoded = decode(body, media_type, served.type, options.validation)
        if self._reviews.answers(served.resource):
            answer = self._reviews.answer(served.resource, target.namespace, decoded.tree, user)
            return Written(orjson.dumps(answer), is_new=True, warnings=decoded.warnings)
        written = await self._registry.create(served, target.namespace, decoded.tree, options)
        return Written(written.raw, written.is_new, decoded.warnings)

    async def update(
        self, target: Target, body: bytes, options: Options, media_type: str = JSON_TYPE
    ) -> Written:
        """Replace an object, or a subresource of it."""
        check_verb(target.served, target.subresource, "update")
        if target.subresource == "scale":
            wanted = self._decode_sub(target, body, media_type, options).tree
            return await self._scale(target, lambda now: wanted, options)
        decoded = decode(body, media_type, target.served.type, options.validation)
        written = await self._registry.update(
            target.served,
            target.namespace,
            target.name,
            decoded.tree,
            options,
            subresource=target.subresource,
        )
        return Written(written.raw, written.is_new, decoded.warnings)

    async def patch(self, target: Target, request: PatchRequest, options: Options) -> Written:
        """Patch an object, or a subresource of it."""
        check_verb(target.served, target.subresource, "patch")
        if target.subresource == "scale":
            patch = Patch(request, self._kind_of(target))

            def change(now: Json) -> Json:
                patched = patch.applied_to(now)
                normalise(self._kind_of(target), patched)
                return patched

            return await self._scale(target, change, options)
        return await self._registry.patch(
            target.served,
            target.namespace,
            target.name,
            request,
            options,
            subresource=target.subresource,
        )

    async def delete(
        self, target: Target, body: bytes, dry_run: bool, given: Json | None = None
    ) -> Written:
        """Delete an object. `body` is a DeleteOptions, or empty; `given` wins over it."""
        check_verb(target.served, target.subresource, "delete")
        options = self.delete_options(body, given)
        return await self._registry.delete(
            target.served,
            target.namespace,
            target.name,
            options,
            dry_run=dry_run or bool(options.get("dryRun")),
        )

    async def delete_collection(
        self,
        target: Target,
        selectors: Selectors,
        body: bytes,
        dry_run: bool,
        given: Json | None = None,
    ) -> Listed:
        """Delete the objects selected; return them as they were."""
        check_verb(target.served, target.subresource, "deletecollection")
        options = self.delete_options(body, given)
        chosen = self._selection(target, selectors)
        listed = await self._reader.list(target.served, chosen, ListOptions())
        for entry in listed.items:
            await self._registry.delete_if_there(
                target.served,
                entry.namespace,
                entry.name,
                options,
                dry_run=dry_run or bool(options.get("dryRun")),
            )
        return listed

    def delete_options(self, body: bytes, given: Json | None) -> Json:
        """Return the options of a deletion, from the body and from the query."""
        type_ = self.offer.scheme.kind("", "v1", "DeleteOptions")
        assert type_ is not None
        tree: Json = {}
        if body:
            is_protobuf = body.startswith(protobuf.MAGIC)
            value = protobuf.decode(body, type_) if is_protobuf else parse(body)
            if not isinstance(value, dict):
                raise BadRequest("the body of a deletion must be a DeleteOptions")
            tree = value
            problems = [found for found in normalise(type_, tree) if found.code != "unknown"]
            if problems:
                raise BadRequest(problems[0].message)
        return tree | (given or {})

    async def _bind(
        self, target: Target, body: bytes, media_type: str, options: Options
    ) -> Written:
        type_ = self.offer.scheme.kind("", "v1", "Binding")
        assert type_ is not None
        decoded = decode(body, media_type, type_, options.validation)
        served = self.offer.find("", "v1", "pods")
        name = target.name or str(decoded.tree.get("metadata", {}).get("name", ""))
        await self._registry.modify(
            served,
            target.namespace,
            name,
            lambda pod: pods.bind(pod, decoded.tree, self._clock.now()),
            dry_run=options.dry_run,
        )
        return Written(orjson.dumps(_CREATED), is_new=True, warnings=decoded.warnings)

    async def _scale(
        self, target: Target, change: Callable[[Json], Json], options: Options
    ) -> Written:
        return await self._registry.update_scale(
            target.served, target.namespace, target.name, change, options
        )

    def _kind_of(self, target: Target) -> Type:
        """Return the type that a subresource's requests carry."""
        subresource = target.served.subresources[target.subresource]
        type_ = self.offer.scheme.kind(subresource.group, subresource.version, subresource.kind)
        assert type_ is not None
        return type_

    def _decode_sub(
        self, target: Target, body: bytes, media_type: str, options: Options
    ) -> Decoded:
        return decode(body, media_type, self._kind_of(target), options.validation)

    def _selection(self, target: Target, selectors: Selectors) -> Selection:
        return selection(
            target.served.resource,
            target.namespace,
            selectors.labels,
            selectors.fields,
            target.name,
        )
