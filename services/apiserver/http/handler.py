"""One request to one answer: who, may they, what, and in which form."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

import orjson

from pybernetes.component.clock import Clock
from pybernetes.machinery.errors import (
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
)
from pybernetes.machinery.resource import Json

from .. import authz
from ..authn import UNSECURED, User
from ..authz import Access
from ..decode import field_validation
from ..offer import NOT_FOUND_TEXT
from ..operations import Operations, Selectors, Target
from ..patches import PatchRequest, patch_type
from ..reading import ListOptions
from ..registry import Options, Written
from ..watching import Batch, WatchOptions
from .documents import Documents
from .messages import TEXT_TYPE, Answer, Draft, Query, Request, Response, Stream
from .negotiate import PARTIAL, PARTIAL_LIST, TABLE, body_type, form
from .paths import ResourcePath, parse, verb_of
from .render import Renderer
from .streams import PodStreams

_NO_CACHE = ("Cache-Control", "no-cache, private")
_STREAMED = ("log", "exec")
_NOT_ALLOWED = "the server does not allow this method on the requested resource"


class Handler:
    """Answers requests; knows nothing of sockets."""

    def __init__(
        self,
        operations: Operations,
        documents: Documents,
        streams: PodStreams,
        clock: Clock,
        tokens: Mapping[str, User],
        *,
        is_secure: bool,
    ) -> None:
        self._operations = operations
        self._documents = documents
        self._streams = streams
        self._clock = clock
        self._tokens = tokens
        self._is_secure = is_secure
        self._verbs: Mapping[str, Callable[[Target, Request], Awaitable[Answer]]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._deletecollection,
        }

    async def handle(self, request: Request) -> Answer:
        """Return the answer to a request. Raises the ApiError that is the answer otherwise."""
        user = self._authenticate(request)
        path = parse(request.path)
        if path is None:
            return await self._document(request, user)
        verb = verb_of(request.method, path, request.query)
        if not verb:
            raise MethodNotAllowed(_NOT_ALLOWED)
        authz.check(
            user,
            Access(
                verb=verb,
                group=path.group,
                resource=path.resource,
                subresource=path.subresource,
                namespace=path.namespace,
                name=path.name,
            ),
        )
        target = self._target(path)
        if path.subresource in _STREAMED and target.subresource in target.served.subresources:
            return await self._streams.answer(target, request)
        if verb == "create":
            return await self._create(target, request, user)
        return await self._verbs[verb](target, request)

    def _authenticate(self, request: Request) -> User:
        """Return who calls. Raises Unauthorized, but on public paths."""
        if not self._is_secure:
            return UNSECURED
        scheme, _, token = request.header("authorization").partition(" ")
        if token and scheme.lower() == "bearer":
            user = self._tokens.get(token.strip())
            if user is not None:
                return user
        elif request.certificate is not None:
            return request.certificate
        if authz.is_public(request.path):
            return User("system:anonymous", ("system:unauthenticated",))
        raise Unauthorized("Unauthorized")

    def _target(self, path: ResourcePath) -> Target:
        served = self._operations.offer.find(path.group, path.version, path.resource)
        resource = served.resource
        is_homeless = resource.namespaced and path.name and not path.namespace
        if path.rest or is_homeless or (path.namespace and not resource.namespaced):
            raise NotFound(NOT_FOUND_TEXT)
        return Target(served, path.namespace, path.name, path.subresource)

    async def _document(self, request: Request, user: User) -> Response:
        authz.check(user, Access(verb=request.method.lower(), path=request.path))
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(_NOT_ALLOWED)
        answer = await self._documents.answer(request)
        if answer is not None:
            return answer
        if request.path.startswith(("/api/", "/apis/")):
            raise NotFound(NOT_FOUND_TEXT)
        return Response(404, b"404 page not found\n", TEXT_TYPE)

    async def _get(self, target: Target, request: Request) -> Response:
        renderer = self._renderer(target, request, TABLE, PARTIAL)
        version = request.query.text("resourceVersion")
        return _plain(renderer.one(await self._operations.get(target, version)))

    async def _list(self, target: Target, request: Request) -> Response:
        renderer = self._renderer(target, request, TABLE, PARTIAL_LIST)
        query = request.query
        options = ListOptions(
            resource_version=query.text("resourceVersion"),
            match=query.text("resourceVersionMatch"),
            limit=query.number("limit") or 0,
            continue_=query.text("continue"),
        )
        listed = await self._operations.list(target, _selectors(query), options)
        return _plain(renderer.many(listed))

    async def _watch(self, target: Target, request: Request) -> Stream:
        renderer = self._renderer(target, request, TABLE, PARTIAL)
        query = request.query
        options = WatchOptions(
            resource_version=query.text("resourceVersion"),
            match=query.text("resourceVersionMatch"),
            bookmarks=query.flag("allowWatchBookmarks"),
            send_initial_events=query.optional_flag("sendInitialEvents"),
            timeout_s=query.number("timeoutSeconds") or 0,
        )
        batches = self._operations.watch(target, _selectors(query), options)
        return Stream(_lines(batches, renderer), headers=(_NO_CACHE,))

    async def _create(self, target: Target, request: Request, user: User) -> Response:
        if target.name and not target.subresource:
            raise MethodNotAllowed(_NOT_ALLOWED)
        if target.served.resource.namespaced and not target.namespace:
            raise MethodNotAllowed(_NOT_ALLOWED)
        renderer = self._renderer(target, request, TABLE, PARTIAL)
        written = await self._operations.create(
            target,
            await request.read(),
            _options(request.query),
            user,
            body_type(request.header("content-type")),
        )
        return _written(renderer, written)

    async def _update(self, target: Target, request: Request) -> Response:
        _needs_name(target)
        renderer = self._renderer(target, request, TABLE, PARTIAL)
        written = await self._operations.update(
            target,
            await request.read(),
            _options(request.query),
            body_type(request.header("content-type")),
        )
        return _written(renderer, written)

    async def _patch(self, target: Target, request: Request) -> Response:
        _needs_name(target)
        kind = patch_type(body_type(request.header("content-type")))
        renderer = self._renderer(target, request, TABLE, PARTIAL)
        patch = PatchRequest(kind, await request.read())
        written = await self._operations.patch(target, patch, _options(request.query))
        return _written(renderer, written)

    async def _delete(self, target: Target, request: Request) -> Response:
        renderer = self._renderer(target, request, TABLE, PARTIAL)
        query = request.query
        written = await self._operations.delete(
            target, await request.read(), _is_dry(query), _deletion(query)
        )
        return _written(renderer, written)

    async def _deletecollection(self, target: Target, request: Request) -> Response:
        if target.served.resource.namespaced and not target.namespace:
            raise MethodNotAllowed(_NOT_ALLOWED)
        renderer = self._renderer(target, request, TABLE, PARTIAL_LIST)
        query = request.query
        listed = await self._operations.delete_collection(
            target, _selectors(query), await request.read(), _is_dry(query), _deletion(query)
        )
        return _plain(renderer.many(listed))

    def _renderer(self, target: Target, request: Request, *conversions: str) -> Renderer:
        wanted = form(request.header("accept"), *conversions)
        if target.subresource == "scale":
            wanted = form(request.header("accept"))
        include = request.query.text("includeObject")
        return Renderer(target.served, wanted, include, self._clock.now)


async def _lines(
    batches: AsyncGenerator[Batch, None], renderer: Renderer
) -> AsyncGenerator[bytes, None]:
    """Yield a watch stream; an error is its last event, as clients expect."""
    async with aclosing(batches):
        try:
            async for batch in batches:
                yield b"".join([renderer.event(told) for told in batch])
        except ApiError as error:
            yield orjson.dumps({"type": "ERROR", "object": error.to_status()}) + b"\n"


def _written(renderer: Renderer, written: Written) -> Response:
    draft = Draft([_NO_CACHE])
    for warning in written.warnings:
        draft.warn(warning)
    answer = renderer.one(written.raw, 201 if written.is_new else 200)
    return Response(answer.status, answer.body, answer.content_type, draft.headers)


def _plain(answer: Response) -> Response:
    return Response(answer.status, answer.body, answer.content_type, (_NO_CACHE,))


def _selectors(query: Query) -> Selectors:
    return Selectors(query.text("labelSelector"), query.text("fieldSelector"))


def _options(query: Query) -> Options:
    return Options(_is_dry(query), field_validation(query.text("fieldValidation")))


def _is_dry(query: Query) -> bool:
    given = [value for value in query.all("dryRun") if value]
    for value in given:
        if value != "All":
            raise BadRequest(f'dryRun: Unsupported value: "{value}": supported values: "All"')
    return bool(given)


def _deletion(query: Query) -> Json:
    """Return the options of a deletion that come in its URL."""
    given: Json = {}
    if (grace_s := query.number("gracePeriodSeconds")) is not None:
        given["gracePeriodSeconds"] = grace_s
    if policy := query.text("propagationPolicy"):
        given["propagationPolicy"] = policy
    if (orphans := query.optional_flag("orphanDependents")) is not None:
        given["orphanDependents"] = orphans
    return given


def _needs_name(target: Target) -> None:
    if not target.name:
        raise MethodNotAllowed(_NOT_ALLOWED)
