"""One write of one object: decide on what is there, and store it only if it is still there.

The decision is first made on the cached object, which is nearly always current: then a write costs
one transaction. If it was not, the refused transaction has brought what stands there now, and the
decision is made again. An error decided on cached objects is believed only once the store says
the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from pybernetes.machinery import errors
from pybernetes.machinery.errors import ApiError
from pybernetes.machinery.resource import Json, Resource

from . import storage
from .allocation import Allocation
from .cache import Caches, entry_of
from .core import strategies, trees
from .core.watch_cache import Entry, with_version
from .etcd import Committed, Etcd, KeyValue, LeaseLostError, Refused, Transaction
from .expiry import Leases
from .namespaces import NAMESPACES, check_open

ATTEMPTS_MAX = 50
"""So often others may write the same object between our reading and our writing it."""


@dataclass(frozen=True, slots=True)
class Store:
    """Let the object be this."""

    tree: Json


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the object away; this was its last state."""

    last: Json


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing to change."""


Decision = Store | Remove | Leave
Decide = Callable[[Json | None], Decision]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write."""

    raw: bytes
    """The object as it is now, or was last."""
    is_new: bool = False
    is_removed: bool = False


@dataclass(slots=True)
class _Seen:
    """What a write has seen of the world so far."""

    resource: Resource
    namespace: str
    key: str
    found: Entry | None = None
    home: Entry | None = None
    """The namespace, if the object lives in one."""
    is_live: bool = False
    """Seen in the store itself, not only in the cache."""
    taken: set[str] = field(default_factory=set)
    """Claims that turned out to be held by others."""

    @property
    def home_key(self) -> str:
        return storage.key(NAMESPACES, "", self.namespace) if self.namespace else ""

    def versions(self) -> tuple[int, int]:
        return (
            self.found.revision if self.found else 0,
            self.home.revision if self.home else 0,
        )


class Transactor:
    """Carries decisions about single objects to the store."""

    def __init__(self, etcd: Etcd, caches: Caches, allocation: Allocation, leases: Leases) -> None:
        self._etcd = etcd
        self._leases = leases
        self._caches = caches
        self._allocation = allocation

    async def write(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        decide: Decide,
        *,
        dry_run: bool = False,
    ) -> Outcome:
        """Decide and store until both happened on the same state of the object.

        `decide` gets a tree of its own, resourceVersion included, None if there is no object. It
        raises the ApiError that the caller deserves.
        """
        seen = self._look(resource, namespace, name)
        if dry_run:
            await self._look_again(seen)
        for _ in range(ATTEMPTS_MAX):
            try:
                decision = decide(seen.found.tree() if seen.found else None)
                transaction = self._transaction(seen, decision)
            except ApiError:
                if not await self._look_again(seen):
                    raise
                continue
            if isinstance(decision, Leave):
                if not await self._look_again(seen):
                    assert seen.found is not None
                    return Outcome(seen.found.raw)
                continue
            if dry_run:
                return _outcome(seen, decision, transaction, 0)
            transaction.lease = await self._leases.of(resource)
            try:
                answer = await self._etcd.commit(transaction)
            except LeaseLostError:
                self._leases.forget()
                continue
            if isinstance(answer, Committed):
                return _outcome(seen, decision, transaction, answer.revision)
            self._learn(seen, answer)
        raise errors.conflict(resource, name, "too many others write it at the same time")

    async def live(self, resource: Resource, key: str) -> Entry | None:
        """Return an object as the store has it now."""
        return self._entry(resource, await self._etcd.get(key))

    def _look(self, resource: Resource, namespace: str, name: str) -> _Seen:
        seen = _Seen(resource, namespace, storage.key(resource, namespace, name))
        seen.found = self._caches.of(resource).get(seen.key)
        if seen.home_key:
            seen.home = self._caches.of(NAMESPACES).get(seen.home_key)
        return seen

    async def _look_again(self, seen: _Seen) -> bool:
        """Look into the store, once; return whether that changed anything."""
        if seen.is_live:
            return False
        before = seen.versions()
        seen.found = await self.live(seen.resource, seen.key)
        if seen.home_key:
            seen.home = await self.live(NAMESPACES, seen.home_key)
        seen.is_live = True
        return seen.versions() != before

    def _learn(self, seen: _Seen, answer: Refused) -> None:
        """Take what a refused transaction has brought."""
        for key, item in answer.current.items():
            if key == seen.key:
                seen.found = self._entry(seen.resource, item)
            elif key == seen.home_key:
                seen.home = self._entry(NAMESPACES, item)
            elif item is not None:
                seen.taken.add(key)

    def _transaction(self, seen: _Seen, decision: Decision) -> Transaction:
        transaction = Transaction(guards={seen.key: seen.found.revision if seen.found else 0})
        if isinstance(decision, Leave):
            return transaction
        new = decision.tree if isinstance(decision, Store) else None
        if seen.found is None and seen.home_key:
            home = seen.home.tree() if seen.home else None
            check_open(seen.resource, trees.name_of(new), seen.namespace, home)
            assert seen.home is not None
            transaction.guards[seen.home_key] = seen.home.revision
        if (seen.resource.group, seen.resource.plural) == ("", "services"):
            old = seen.found.tree() if seen.found else None
            # What is allocated now may turn out to be taken: the decision itself stays as it was.
            new = None if new is None else orjson.loads(orjson.dumps(new))
            claims = (self._caches.claims, seen.taken)
            self._allocation.extend(transaction, old, new, seen.resource, *claims)
        if new is None:
            transaction.deletes.append(seen.key)
        else:
            transaction.puts[seen.key] = value_of(new)
        return transaction

    def _entry(self, resource: Resource, item: KeyValue | None) -> Entry | None:
        if item is None:
            return None
        strategy = strategies.for_resource(resource.group, resource.plural)
        return entry_of(item, strategy.selectable_fields)


def value_of(tree: Json) -> bytes:
    """Return what the store holds of an object: no resourceVersion, and metadata early."""
    metadata = {key: value for key, value in tree["metadata"].items() if key != "resourceVersion"}
    value = {"kind": tree["kind"], "apiVersion": tree["apiVersion"], "metadata": metadata}
    value.update((key, part) for key, part in tree.items() if key not in value)
    return orjson.dumps(value)


def _outcome(seen: _Seen, decision: Decision, transaction: Transaction, revision: int) -> Outcome:
    """Return the outcome at a revision; 0: of a dry run, which leaves the version as it was."""
    if isinstance(decision, Remove):
        return Outcome(orjson.dumps(decision.last), is_removed=True)
    value = transaction.puts[seen.key]
    if revision:
        raw = with_version(value, revision)
    else:
        raw = with_version(value, seen.found.revision) if seen.found else value
    return Outcome(raw, is_new=seen.found is None)
