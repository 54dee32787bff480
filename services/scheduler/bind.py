"""Binding: tell the API server which node a pod goes to, and find out whether it took it."""

import asyncio
import random
from enum import Enum

from pybernetes.api.core_v1 import Pod
from pybernetes.client.objects import ObjectsClient
from pybernetes.machinery import errors
from pybernetes.machinery.backoff import delay_s
from pybernetes.machinery.resource import Json

BIND_S = 30.0
"""How long a binding is tried while the API server is away; then the pod is decided on anew."""

RETRY_INITIAL_S = 0.05
RETRY_MAX_S = 1.0


class Outcome(Enum):
    """What became of a binding."""

    BOUND = "the pod is on the node"
    SETTLED_ELSEWHERE = "the pod is gone, or on another node"
    FAILED = "the pod has no node, or we could not find out"


class Binder:
    """Binds pods. Doing it twice is harmless: the API server takes the first for a uid only."""

    def __init__(self, client: ObjectsClient, rng: random.Random) -> None:
        self._client = client
        self._rng = rng

    async def bind(self, pod: Pod, node: str) -> tuple[Outcome, str]:
        """Bind a pod; return the outcome, and what the server said if it failed."""
        deadline_s = _now_s() + BIND_S
        attempt = 0
        while True:
            try:
                await self._create(pod, node)
            except (errors.Unavailable, errors.Timeout) as error:
                wait_s = delay_s(
                    attempt, initial_s=RETRY_INITIAL_S, max_s=RETRY_MAX_S, rng=self._rng
                )
                if _now_s() + wait_s > deadline_s:
                    return Outcome.FAILED, error.message
            except errors.ApiError as error:  # perhaps our own first attempt was carried out
                return await self._look(pod, node), error.message
            else:
                return Outcome.BOUND, ""
            attempt += 1
            await asyncio.sleep(wait_s)

    async def _create(self, pod: Pod, node: str) -> None:
        meta = pod.metadata
        binding: Json = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._client.create(
            Pod, binding, meta.namespace, subresource="binding", name=meta.name
        )

    async def _look(self, pod: Pod, node: str) -> Outcome:
        try:
            found = await self._client.get(Pod, pod.metadata.name, pod.metadata.namespace)
        except errors.NotFound:
            return Outcome.SETTLED_ELSEWHERE
        except errors.ApiError:
            return Outcome.FAILED
        if found.metadata.uid != pod.metadata.uid:
            return Outcome.SETTLED_ELSEWHERE
        if not found.spec.node_name:
            return Outcome.FAILED
        return Outcome.BOUND if found.spec.node_name == node else Outcome.SETTLED_ELSEWHERE


def _now_s() -> float:
    return asyncio.get_running_loop().time()
