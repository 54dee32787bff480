"""Between clients and servicers: who calls, once the store asks. Until then it costs nothing."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from pybernetes.transport.light import is_light

from ..acting import ActingStore, Tokens, Who
from ..core.errors import StoreError
from ..store import Store
from .errors import Context, abort


class Guarded:
    """A servicer like the one it is made of; each caller meets one that acts in its name."""

    def __init__(
        self,
        make: Callable[[Store], Any],
        store: Store,
        tokens: Tokens,
        *,
        admin: frozenset[str] = frozenset(),
        free: frozenset[str] = frozenset(),
    ) -> None:
        """`make` returns a servicer on a store.

        `admin` names the methods that only root may call, `free` those that anybody may.
        """
        self._make = make
        self._servicer = make(store)
        self._store = store
        self._tokens = tokens
        self._admin = admin
        self._free = free

    def __getattr__(self, name: str) -> Any:
        """Return a method, guarded."""
        method = getattr(self._servicer, name)
        if name in self._free:
            return method
        machine = self._store.machine
        is_stream = inspect.isasyncgenfunction(inspect.unwrap(method))
        guarded = self._stream(name) if is_stream else self._unary(name)

        def call(request: Any, context: Context) -> Any:
            if machine.state.auth.is_enabled:
                return guarded(request, context)
            return method(request, context)

        call.is_light = is_light(method)  # type: ignore[attr-defined]  # what it returns is
        return call

    def _unary(self, name: str) -> Callable[[Any, Context], Any]:
        async def guarded(request: Any, context: Context) -> Any:
            try:
                who = await self._admit(name, context)
            except StoreError as error:
                await abort(context, error)
                raise  # not reached: abort raises
            return await self._method(name, who)(request, context)

        return guarded

    def _stream(self, name: str) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                who = await self._admit(name, context)
            except StoreError as error:
                await abort(context, error)
                return
            async for answer in self._method(name, who)(request, context):
                yield answer

        return guarded

    async def _admit(self, name: str, context: Context) -> Who:
        who = await self._tokens.identify(context)
        if name in self._admin:
            self._tokens.auth.check_admin(who.user)
        return who

    def _method(self, name: str, who: Who) -> Any:
        return getattr(self._make(ActingStore(self._store, who)), name)
