"""The store as one caller may use it, once the store asks who calls."""

import asyncio
import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from pybernetes.component.rpc_server import peer_identity

from .core.auth import Auth
from .core.authorise import Caller
from .core.command import As, Command, Plain, Range, Txn
from .core.errors import AuthOldRevision, InvalidAuthToken, StoreError
from .core.lease import Lease
from .core.state import RangeResult, Result
from .store import Store

TOKEN_FIELDS = ("token", "authorization")
"""Metadata that carries a token, as etcd's clients and its gateway send it."""

TOKEN_LETTERS = 16
SWEEP_S = 10.0
"""How often old tokens are thrown away."""


@dataclass(frozen=True, slots=True)
class Who:
    """A caller; without a name for one who did not say."""

    user: str = ""


class Tokens:
    """Who calls: by a token, else by a certificate. Each member notes when a token was used."""

    def __init__(self, store: Store, rng: random.Random, ttl_s: float) -> None:
        self._store = store
        self._rng = rng
        self._ttl_s = ttl_s
        self._deadlines: dict[str, float] = {}

    @property
    def auth(self) -> Auth:
        """Users and roles as they are now; another object after a snapshot came."""
        return self._store.machine.state.auth

    def new(self) -> str:
        """Return a token that nobody can guess."""
        letters = (self._rng.choice(string.ascii_letters) for _ in range(TOKEN_LETTERS))
        return f"{''.join(letters)}.{self.auth.revision}"

    async def identify(self, context: grpc.aio.ServicerContext[Any, Any]) -> Who:
        """Return who calls; InvalidAuthToken for a token that no member knows."""
        metadata: Mapping[str, Any] = dict(context.invocation_metadata() or ())
        token = next((metadata[field] for field in TOKEN_FIELDS if field in metadata), None)
        if token is None:
            identity = peer_identity(context)
            return Who(identity.user if identity else "")
        if token not in self.auth.tokens:
            await self._store.node.read_barrier()  # another member gave it
        user = self.auth.tokens.get(token)
        if user is None:
            raise InvalidAuthToken
        self._deadlines[token] = self._now_s() + self._ttl_s
        return Who(user)

    async def run(self) -> None:
        """Forget tokens that were not used for their time to live, for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    def sweep(self) -> None:
        """Forget what is too old."""
        known, now_s = self.auth.tokens, self._now_s()
        deadlines = {token: self._deadlines.get(token, now_s + self._ttl_s) for token in known}
        self._deadlines = {token: at for token, at in deadlines.items() if at > now_s}
        for token in known.keys() - self._deadlines.keys():
            del known[token]

    def _now_s(self) -> float:
        return self._store.node.now_ms() / 1_000


class ActingStore(Store):
    """The store in the hands of one caller."""

    def __init__(self, store: Store, who: Who) -> None:
        self.__dict__.update(store.__dict__)
        self._store = store
        self._who = who

    async def write(self, command: Command, *, only_here: bool = False) -> tuple[Result, int]:
        """Replicate a command in the caller's name; again if users or roles just changed."""
        assert not isinstance(command, As)
        while True:
            revision = self._revision()
            try:
                return await self._store.write(
                    As(self._who.user, revision, command), only_here=only_here
                )
            except AuthOldRevision:
                await self.node.read_barrier()  # then we know what changed

    async def range(self, request: Range, *, is_serializable: bool) -> tuple[RangeResult, int]:
        """Read keys that the caller may read."""
        if not is_serializable:
            await self.node.read_barrier()
        self.check(request)
        return await self._store.range(request, is_serializable=True)

    async def read_txn(self, txn: Txn) -> tuple[Result, int]:
        """Carry out a transaction that only reads what the caller may read."""
        await self.node.read_barrier()
        self.check(txn)
        applied = self.machine.state.apply(As(self._who.user, self._revision(), txn), 0)
        if isinstance(applied.result, StoreError):
            raise applied.result
        return applied.result, applied.revision

    async def leases(self) -> tuple[Lease, ...]:
        """Return all leases, if the caller may read all keys that hang on one."""
        found = await self._store.leases()
        caller = self.caller()
        for lease in found:
            caller.check_lease(lease.id)
        return found

    def check(self, command: Plain) -> None:
        """Raise unless the caller may do this, as far as this member knows."""
        self.caller().check(command)

    def caller(self) -> Caller:
        """Return the caller, with the permissions that this member knows of."""
        state = self.machine.state
        return Caller(state.auth, state.leases, self._who.user, self._revision())

    def _revision(self) -> int:
        return self.machine.state.auth.revision if self._who.user else 0
