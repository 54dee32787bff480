"""The loops of ReplicaSets and Deployments."""

from pybernetes.api.apps_v1 import Deployment, ReplicaSet
from pybernetes.api.core_v1 import Pod
from pybernetes.client.kinds import Key, key_of

from ..caches import candidates, owners_of
from ..core import pods, rollout
from ..core.ownership import controller_of
from ..core.reconcilers import deployment, replicaset
from .parts import Loop, Parts


def replicasets(parts: Parts) -> Loop:
    """Keep as many pods as each ReplicaSet says."""
    caches = parts.caches

    async def observe(key: Key) -> replicaset.Observed | None:
        rs = caches.replicasets.get(*key)
        if rs is None:
            return None
        found = candidates(caches.pods, rs, rs.spec.selector)
        active = sum(pods.is_active(pod) for pod in found)
        related = _related(rs) if active > replicaset.wanted(rs) else ()
        return replicaset.Observed(rs, found, related, parts.clock.now())

    def _related(rs: ReplicaSet) -> tuple[Pod, ...]:
        ref = controller_of(rs.metadata)
        if ref is None:
            return ()
        siblings = caches.replicasets.by_index("controller", ref.uid)
        return tuple(
            pod
            for sibling in siblings
            for pod in caches.pods.by_index("controller", sibling.metadata.uid)
        )

    loop = parts.controller(
        "replicaset",
        observe=observe,
        reconcile=replicaset.reconcile,
        keys=lambda: map(key_of, caches.replicasets.list()),
        needs=(caches.replicasets, caches.pods),
    )

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is not None:
                for rs in owners_of(caches.replicasets, pod):
                    loop.queue.add(key_of(rs))

    def replicaset_changed(old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        if new is not None:
            loop.queue.add(key_of(new))

    caches.replicasets.add_handler(replicaset_changed)
    caches.pods.add_handler(pod_changed)
    return loop


def deployments(parts: Parts) -> Loop:
    """Roll each Deployment over to its template."""
    caches = parts.caches

    async def observe(key: Key) -> deployment.Observed | None:
        owner = caches.deployments.get(*key)
        if owner is None:
            return None
        sets = candidates(caches.replicasets, owner, owner.spec.selector)
        running: tuple[Pod, ...] = ()
        if not rollout.is_rolling(owner):
            running = tuple(
                pod for rs in sets for pod in caches.pods.by_index("controller", rs.metadata.uid)
            )
        namespace, _ = key
        occupant = caches.replicasets.get(namespace, deployment.new_name(owner))
        return deployment.Observed(owner, sets, occupant, running, parts.clock.now())

    loop = parts.controller(
        "deployment",
        observe=observe,
        reconcile=deployment.reconcile,
        keys=lambda: map(key_of, caches.deployments.list()),
        needs=(caches.deployments, caches.replicasets, caches.pods),
    )

    def deployment_changed(old: Deployment | None, new: Deployment | None) -> None:
        if new is not None:
            loop.queue.add(key_of(new))

    def replicaset_changed(old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        for rs in (old, new):
            if rs is not None:
                for owner in owners_of(caches.deployments, rs):
                    loop.queue.add(key_of(owner))

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        """With Recreate the new pods wait until the last old one is gone."""
        if old is None or (new is not None and not pods.is_terminal(new)):
            return
        for rs in owners_of(caches.replicasets, old):
            for owner in owners_of(caches.deployments, rs):
                if not rollout.is_rolling(owner):
                    loop.queue.add(key_of(owner))

    caches.deployments.add_handler(deployment_changed)
    caches.replicasets.add_handler(replicaset_changed)
    caches.pods.add_handler(pod_changed)
    return loop
