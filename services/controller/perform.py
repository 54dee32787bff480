"""Actions as API calls, with their preconditions."""

import asyncio
from typing import Protocol, assert_never

from pybernetes.api.core_v1 import Namespace
from pybernetes.client.events import EventRecorder
from pybernetes.client.kinds import Kind
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors
from pybernetes.machinery.resource import Json

from .core.actions import (
    Action,
    Adopt,
    Announce,
    Batch,
    Create,
    Delete,
    DeleteContents,
    Finalize,
    Object,
    Patch,
    RecheckAt,
    Said,
)
from .core.ownership import adopted
from .core.reconcilers.namespace import FINALIZER

TOGETHER_MAX = 64
"""Calls of one batch in flight at the same time, after the slow start."""


class Note(Protocol):
    """Takes down a write that succeeded, so that the caller can wait to see it."""

    def __call__(self, obj: Kind, gone: bool) -> None:
        """`obj` is as written; `gone`: it was deleted, or marked as being deleted."""
        ...


class Performer:
    """Carries out actions for one control loop, and tells humans."""

    def __init__(self, name: str, client: ObjectsClient, events: EventRecorder) -> None:
        self._client = client
        self._events = events
        self._log = get_logger(name)

    async def __call__(self, action: Action, note: Note) -> None:
        """Perform one action; raises the ApiError of a call that failed."""
        match action:
            case Create():
                await self._create(action, note)
            case Delete():
                await self._delete(action, note)
            case Patch():
                await self._patch(action, note)
            case Adopt():
                await self._adopt(action, note)
            case Batch():
                await self._batch(action, note)
            case DeleteContents(content, namespace):
                await self._client.delete_collection_raw(
                    content, namespace, propagation="Background"
                )
                self._log.info("contents deleted", namespace=namespace, resource=content.plural)
            case Finalize(namespace):
                await self._finalize(namespace, note)
            case Announce(about, type_, reason, message):
                self._events.event(about, type_, reason, message)
            case RecheckAt():
                pass  # the shell's business
            case _:
                assert_never(action)

    async def _create(self, action: Create, note: Note) -> None:
        meta: Json = action.tree["metadata"]
        namespace = meta.get("namespace", "")
        kind = action.kind
        try:
            made = await self._client.create(kind, action.tree, namespace)
        except errors.Forbidden as error:
            if _is_closing(error):
                self._log.debug("namespace is terminating", namespace=namespace)
                return
            self._failed(action.said, error)
            raise
        except errors.ApiError as error:
            self._failed(action.said, error)
            raise
        note(made, False)
        name = made.metadata.name
        self._log.info("created", kind=kind.resource.kind, namespace=namespace, name=name)
        self._succeeded(action.said, name)

    async def _delete(self, action: Delete, note: Note) -> None:
        meta = action.obj.metadata
        try:
            await self._client.delete(
                type(action.obj),
                meta.name,
                meta.namespace,
                uid=meta.uid,
                resource_version=meta.resource_version if action.is_versioned else None,
                grace_period_s=action.grace_period_s,
                propagation=action.propagation,
            )
        except errors.NotFound:
            return
        except errors.ApiError as error:
            self._failed(action.said, error)
            raise
        note(action.obj, True)
        self._log.info(
            "deleted", kind=action.obj.resource.kind, namespace=meta.namespace, name=meta.name
        )
        self._succeeded(action.said, meta.name)

    async def _patch(self, action: Patch, note: Note) -> None:
        meta = action.obj.metadata
        guard: Json = {"uid": meta.uid}
        if action.is_versioned:
            guard["resourceVersion"] = meta.resource_version
        tree = {**action.tree, "metadata": {**action.tree.get("metadata", {}), **guard}}
        written = await self._client.patch(
            type(action.obj), meta.name, tree, meta.namespace, subresource=action.subresource
        )
        note(written, False)
        self._log.debug(
            "patched",
            kind=action.obj.resource.kind,
            namespace=meta.namespace,
            name=meta.name,
            patch=action.tree,
        )
        self._succeeded(action.said, meta.name)

    async def _adopt(self, action: Adopt, note: Note) -> None:
        """Adopt, if the owner is still the one we know: caches tell late of deletions."""
        seen = action.owner.metadata
        live: Object = await self._client.get(type(action.owner), seen.name, seen.namespace)
        if live.metadata.uid != seen.uid or live.metadata.deletion_timestamp is not None:
            raise errors.Conflict(f"{seen.namespace}/{seen.name} is gone or going: adopts nothing")
        await self._patch(adopted(action), note)

    async def _batch(self, batch: Batch, note: Note) -> None:
        """Perform with a slow start; what is begun is ended, then the first failure is raised."""
        together = 1
        left = batch.actions
        failures: list[errors.ApiError] = []

        async def one(action: Create | Delete) -> None:
            try:
                await self(action, note)
            except errors.ApiError as error:
                failures.append(error)

        while left:
            now, left = left[:together], left[together:]
            async with asyncio.TaskGroup() as tasks:
                for action in now:
                    tasks.create_task(one(action))
            if failures:
                raise failures[0]
            together = min(2 * together, TOGETHER_MAX)

    async def _finalize(self, namespace: Namespace, note: Note) -> None:
        name = namespace.metadata.name
        tree = await self._client.get_raw(Namespace.resource, name)
        if tree["metadata"]["uid"] != namespace.metadata.uid:
            return
        held = tree.get("spec", {}).get("finalizers") or []
        kept = [found for found in held if found != FINALIZER]
        tree["spec"] = {**tree.get("spec", {}), "finalizers": kept}
        await self._client.update(Namespace, tree, subresource="finalize")
        note(namespace, True)
        self._log.info("namespace finalized", name=name)

    def _succeeded(self, said: Said | None, name: str) -> None:
        if said is not None:
            text = said.message.replace("{name}", name)
            self._events.event(said.about, "Normal", said.reason, text)

    def _failed(self, said: Said | None, error: errors.ApiError) -> None:
        if said is not None and said.reason_failed:
            text = said.message_failed.replace("{error}", error.message)
            self._events.event(said.about, "Warning", said.reason_failed, text)


def _is_closing(error: errors.ApiError) -> bool:
    causes = error.details.get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
