"""Reads: get, list and watch, from the caches, as fresh as the request asks for.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import orjson

from pybernetes.machinery import errors
from pybernetes.machinery.errors import BadRequest, Gone
from pybernetes.machinery.resource import Resource
from pybernetes.schema.scheme import ResourceType

from . import storage
from .cache import Caches, entry_of
from .core import convert, strategies
from .core.watch_cache import Entry, Selection
from .etcd import CompactedError, Etcd, prefix_end

EXACT = "Exact"
NOT_OLDER_THAN = "NotOlderThan"

STORE_PAGE = 500
"""Keys read at once when an older revision is listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """What a list is asked for, besides its selection."""

    resource_version: str = ""
    match: str = ""
    limit: int = 0
    continue_: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as of one revision, or a page of it."""

    items: list[Entry]
    revision: int
    continue_: str = ""
    remaining: int | None = None
    """Objects after this page; unknown with selectors."""


class Reader:
    """Reads of every resource."""

    def __init__(self, etcd: Etcd, caches: Caches) -> None:
        self._etcd = etcd
        self._caches = caches

    async def get(
        self, served: ResourceType, namespace: str, name: str, resource_version: str = ""
    ) -> bytes:
        """Return one object's JSON. Raises NotFound."""
        await self._reach(resource_version)
        stored = convert.storage_of(served.resource)
        entry = self._caches.of(stored).get(storage.key(stored, namespace, name))
        if entry is None:
            raise errors.not_found(served.resource, name)
        return storage.as_served(entry.raw, served.resource)

    async def list(
        self, served: ResourceType, selection: Selection, options: ListOptions
    ) -> Listed:
        """Return the objects selected. Raises Gone if they are wanted as of too long ago."""
        _check(options)
        stored = convert.storage_of(served.resource)
        prefix = storage.collection(stored, selection.namespace)
        if options.continue_:
            revision, start = _decode_token(options.continue_, prefix)
            try:
                return await self._list_store(stored, prefix, start, revision, selection, options)
            except CompactedError:
                raise Gone(
                    "The provided continue parameter is too old to display a consistent list "
                    "result. You can start a new list without the continue parameter."
                ) from None
        wants_page = options.limit > 0 and not options.match
        version = options.resource_version
        if options.match == EXACT or (wants_page and version not in ("", "0")):
            revision = parse_version(version)
            await self._caches.reached(revision)
            try:
                return await self._list_store(stored, prefix, prefix, revision, selection, options)
            except CompactedError:
                raise Gone("The resourceVersion for the provided list is too old.") from None
        await self._reach(version)
        return self._list_cache(stored, prefix, selection, options.limit)

    async def _reach(self, resource_version: str) -> None:
        if resource_version == "":
            await self._caches.fresh()
        elif resource_version != "0":
            await self._caches.reached(parse_version(resource_version))

    def _list_cache(
        self, stored: Resource, prefix: str, selection: Selection, limit: int
    ) -> Listed:
        cache = self._caches.of(stored)
        found = cache.select(prefix, selection)
        if limit <= 0:
            return Listed(list(found), cache.revision)
        items = list(islice(found, limit))
        if next(found, None) is None:
            return Listed(items, cache.revision)
        remaining = cache.count(prefix) - limit if selection.takes_all else None
        token = _encode_token(cache.revision, items[-1].key[len(prefix) :] + "\0")
        return Listed(items, cache.revision, token, remaining)

    async def _list_store(
        self,
        stored: Resource,
        prefix: str,
        start: str,
        revision: int,
        selection: Selection,
        options: ListOptions,
    ) -> Listed:
        fields_of = strategies.for_resource(stored.group, stored.plural).selectable_fields
        limit = options.limit
        items: list[Entry] = []
        while True:
            page = await self._etcd.range(
                start, prefix_end(prefix), limit=STORE_PAGE, revision=revision
            )
            for index, item in enumerate(page.items):
                entry = entry_of(item, fields_of)
                if not selection.matches(entry):
                    continue
                items.append(entry)
                left = page.count - index - 1
                if limit and len(items) == limit and left:
                    token = _encode_token(revision, item.key[len(prefix) :] + "\0")
                    return Listed(items, revision, token, left if selection.takes_all else None)
            if not page.has_more:
                return Listed(items, revision)
            start = page.items[-1].key + "\0"


def list_json(listed: Listed, served: ResourceType) -> Iterator[bytes]:
    """Yield the parts of a list's JSON: the items' own bytes, joined."""
    metadata: dict[str, object] = {"resourceVersion": str(listed.revision)}
    if listed.continue_:
        metadata["continue"] = listed.continue_
        if listed.remaining is not None:
            metadata["remainingItemCount"] = listed.remaining
    yield b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        served.list_kind.encode(),
        served.resource.api_version.encode(),
        orjson.dumps(metadata),
    )
    yield b",".join(storage.as_served(item.raw, served.resource) for item in listed.items)
    yield b"]}"


def _check(options: ListOptions) -> None:
    match, version = options.match, options.resource_version
    if options.continue_ and version not in ("", "0"):
        raise BadRequest("specifying resource version is not allowed when using continue")
    if not match:
        return
    if match not in (EXACT, NOT_OLDER_THAN):
        raise BadRequest(
            f'resourceVersionMatch: Unsupported value: "{match}": '
            f'supported values: "{EXACT}", "{NOT_OLDER_THAN}"'
        )
    if options.continue_:
        raise BadRequest("resourceVersionMatch is forbidden when continue is provided")
    if not version:
        raise BadRequest("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match == EXACT and version == "0":
        raise BadRequest('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')


def parse_version(version: str) -> int:
    """Return a resourceVersion as the revision that it is. Raises BadRequest."""
    if not version.isascii() or not version.isdigit():
        raise BadRequest(f'resourceVersion: Invalid value: "{version}": must be a number')
    return int(version)


def _encode_token(revision: int, start: str) -> str:
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _decode_token(token: str, prefix: str) -> tuple[int, str]:
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        revision, start = int(raw["rv"]), str(raw["start"])
    except (ValueError, binascii.Error, KeyError, TypeError):
        raise BadRequest("continue key is not valid: unable to decode") from None
    if revision <= 0 or start.startswith("/") or ".." in start:
        raise BadRequest("continue key is not valid")
    return revision, prefix + start
