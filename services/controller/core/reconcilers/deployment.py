"""Deployment: roll the pods of a ReplicaSet for one template over to that of the next.

One pass: claim the ReplicaSets, find or make the one of our template, move replicas from old to new
within the strategy's bounds, forget old revisions, report. Each ReplicaSet is written at most once
in a pass; what follows from the write follows in the next pass.

Source: Kubernetes pkg/controller/deployment (sync.go, rolling.go, recreate.go).
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from pybernetes.api.apps_v1 import Deployment, ReplicaSet, ReplicaSetSpec
from pybernetes.api.core_v1 import Pod, PodTemplateSpec
from pybernetes.api.meta_v1 import LabelSelector, ObjectMeta
from pybernetes.machinery.resource import Json

from .. import pods, progress, revisions, rollout
from ..actions import Action, Create, Delete, Patch, RecheckAt, Said, tree_of
from ..ownership import claim, controller_reference
from ..templates import equal_ignoring_hash, template_hash, with_hash_label

UNLIMITED = 2**31 - 1
"""As `revisionHistoryLimit` or `progressDeadlineSeconds`: no limit. Source: MaxInt32."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    owner: Deployment
    sets: tuple[ReplicaSet, ...]
    """Of this namespace: ours, and orphans whose labels may match."""
    occupant: ReplicaSet | None
    """Whatever ReplicaSet has the name that a new one of our template would get."""
    pods: tuple[Pod, ...]
    """Of our ReplicaSets; only for strategy Recreate, else empty."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Sets:
    """Our ReplicaSets, told apart."""

    new: ReplicaSet | None
    """Of the current template."""
    old: tuple[ReplicaSet, ...]

    @property
    def all(self) -> tuple[ReplicaSet, ...]:
        """Old and new."""
        return self.old if self.new is None else (*self.old, self.new)


def reconcile(seen: Observed) -> Iterator[Action]:
    """Take one step towards pods of the current template only, and report."""
    deployment = seen.owner
    if _selects_everything(deployment.spec.selector):
        return
    mine = yield from claim(deployment, deployment.spec.selector, seen.sets)
    sets = tell_apart(deployment, mine)
    news: progress.News | None = None
    if deployment.metadata.deletion_timestamp is not None:
        yield from _conclude(seen, sets, None)
        return
    if (yield from _refresh_new(deployment, sets)):
        return  # the write brings us back, with the set as it is then
    if deployment.spec.paused or _is_resized(deployment, sets):
        yield from _resize(deployment, sets)
        if deployment.spec.paused:
            yield from forget_old(deployment, sets.old)
    elif sets.new is None and _may_start(seen, sets):
        if seen.occupant is not None:
            yield progress.collided(deployment)
            return
        sets, news = yield from _start(deployment, sets)
        yield from _roll(seen, sets)
    else:
        if sets.new is not None and _is_news(deployment, sets.new):
            news = progress.found(sets.new)
        yield from _roll(seen, sets)
    yield from _conclude(seen, sets, news)


def new_name(deployment: Deployment) -> str:
    """Return the name of the ReplicaSet that a new template gets."""
    hashed = template_hash(deployment.spec.template, deployment.status.collision_count)
    return f"{deployment.metadata.name}-{hashed}"


def tell_apart(deployment: Deployment, mine: Sequence[ReplicaSet]) -> Sets:
    """Find the set of the current template: the oldest, should there be several."""
    template = deployment.spec.template
    ordered = sorted(mine, key=rollout.by_creation)
    new = next((rs for rs in ordered if equal_ignoring_hash(rs.spec.template, template)), None)
    return Sets(new, tuple(rs for rs in ordered if rs is not new))


def forget_old(deployment: Deployment, old: Sequence[ReplicaSet]) -> Iterator[Action]:
    """Delete empty sets of the oldest revisions beyond the history that is kept."""
    limit = deployment.spec.revision_history_limit
    if limit is None or limit == UNLIMITED:
        return
    alive = [rs for rs in old if rs.metadata.deletion_timestamp is None]
    surplus = len(alive) - limit
    for rs in sorted(alive, key=revisions.of)[: max(0, surplus)]:
        is_empty = rs.status.replicas == 0 and rollout.replicas(rs) == 0
        if is_empty and rs.metadata.generation <= rs.status.observed_generation:
            yield Delete(rs, is_versioned=True)


def _start(
    deployment: Deployment, sets: Sets
) -> Generator[Action, None, tuple[Sets, "progress.News"]]:
    """Make the ReplicaSet of a template that has none."""
    hashed = template_hash(deployment.spec.template, deployment.status.collision_count)
    name = f"{deployment.metadata.name}-{hashed}"
    template = deployment.spec.template
    labels = with_hash_label(template.metadata.labels, hashed)
    selector = deployment.spec.selector or LabelSelector()
    size = rollout.new_size(deployment, sets.all, 0)
    annotations = revisions.annotations(deployment, None, sets.old)
    made = ReplicaSet(
        metadata=ObjectMeta(
            name=name,
            namespace=deployment.metadata.namespace,
            labels=labels,
            annotations={**annotations, **rollout.size_annotations(deployment)},
        ),
        spec=ReplicaSetSpec(
            replicas=size,
            min_ready_seconds=deployment.spec.min_ready_seconds,
            selector=msgspec.structs.replace(
                selector, match_labels=with_hash_label(selector.match_labels, hashed)
            ),
            template=PodTemplateSpec(
                metadata=msgspec.structs.replace(template.metadata, labels=labels),
                spec=template.spec,
            ),
        ),
    )
    tree = tree_of(made)
    tree["metadata"]["ownerReferences"] = [controller_reference(deployment)]
    said = _scaled(deployment, "up", "{name}", 0, size) if size else None
    yield Create(ReplicaSet, tree, said)
    return Sets(made, sets.old), progress.created(name)


def _refresh_new(deployment: Deployment, sets: Sets) -> Generator[Action, None, bool]:
    """Give the current set its revision and what else it copies; return whether it was written."""
    new = sets.new
    if new is None:
        return False
    patch: Json = {}
    annotations = revisions.annotations(deployment, new, sets.old)
    if annotations:
        patch["metadata"] = {"annotations": annotations}
    if new.spec.min_ready_seconds != deployment.spec.min_ready_seconds:
        patch["spec"] = {"minReadySeconds": deployment.spec.min_ready_seconds}
    if patch:
        yield Patch(new, patch)
    return bool(patch)


def _is_resized(deployment: Deployment, sets: Sets) -> bool:
    """Return whether the replicas asked for changed since the sets were sized.

    With Recreate only one set can follow; of several the old ones must go first.
    """
    desired = rollout.replicas(deployment)
    active = [rs for rs in sets.all if rollout.replicas(rs) > 0]
    if len(active) > 1 and not rollout.is_rolling(deployment):
        return False
    noted = (rollout.annotation(rs, rollout.DESIRED) for rs in active)
    return any(size is not None and size != desired for size in noted)


def _resize(deployment: Deployment, sets: Sets) -> Iterator[Action]:
    """Follow a change of the total without moving between old and new."""
    active = [rs for rs in sets.all if rollout.replicas(rs) > 0]
    desired = rollout.replicas(deployment)
    if len(active) <= 1:
        latest = active[0] if active else sets.new or (sets.old[-1] if sets.old else None)
        if latest is not None:
            yield from _set_size(deployment, latest, desired)
    elif rollout.is_saturated(deployment, sets.new):
        for rs in sets.old:
            if rollout.replicas(rs) > 0:
                yield from _set_size(deployment, rs, 0)
    elif rollout.is_rolling(deployment):
        sizes = rollout.proportional(deployment, sets.all)
        for rs in active:
            yield from _set_size(deployment, rs, sizes[rs.metadata.name])


def _may_start(seen: Observed, sets: Sets) -> bool:
    """Return whether a set may be made now: with Recreate not before all old pods are gone."""
    return rollout.is_rolling(seen.owner) or (
        rollout.total(sets.old) == 0 and not _old_pods_run(seen, sets)
    )


def _roll(seen: Observed, sets: Sets) -> Iterator[Action]:
    """Move replicas from the old sets to the new one: first up, then down."""
    deployment = seen.owner
    if rollout.is_rolling(deployment):
        if sets.new is None:
            return
        size = rollout.replicas(sets.new)
        grown = min(rollout.new_size(deployment, sets.all, size), rollout.replicas(deployment))
        if grown != size:
            yield from _set_size(deployment, sets.new, grown)
            return
        shrunk = rollout.shrink_old(deployment, sets.old, sets.new)
        for rs in sets.old:
            if rs.metadata.name in shrunk:
                yield from _set_size(deployment, rs, shrunk[rs.metadata.name])
        if shrunk:
            return
    else:
        full = [rs for rs in sets.old if rollout.replicas(rs) > 0]
        for rs in full:
            yield from _set_size(deployment, rs, 0)
        if full or sets.new is None or _old_pods_run(seen, sets):
            return
        if rollout.replicas(sets.new) != rollout.replicas(deployment):
            yield from _set_size(deployment, sets.new, rollout.replicas(deployment))
            return
    if progress.is_complete(deployment, deployment.status):
        yield from forget_old(deployment, sets.old)


def _old_pods_run(seen: Observed, sets: Sets) -> bool:
    if any(rs.status.replicas > 0 for rs in sets.old):
        return True
    new_uid = sets.new.metadata.uid if sets.new else ""
    return any(
        not pods.is_terminal(pod)
        and all(ref.uid != new_uid for ref in pod.metadata.owner_references)
        for pod in seen.pods
    )


def _set_size(deployment: Deployment, rs: ReplicaSet, size: int) -> Iterator[Action]:
    """Scale one set, and note for which total it was sized."""
    before = rollout.replicas(rs)
    sizes = rollout.size_annotations(deployment)
    if before == size and sizes.items() <= rs.metadata.annotations.items():
        return
    patch: Json = {"metadata": {"annotations": sizes}, "spec": {"replicas": size}}
    said = None
    if before != size:
        way = "up" if size > before else "down"
        said = _scaled(deployment, way, rs.metadata.name, before, size)
    yield Patch(rs, patch, said=said)


def _conclude(seen: Observed, sets: Sets, news: "progress.News | None") -> Iterator[Action]:
    """Bring the Deployment's own revision and status up to date; look again at the deadline."""
    deployment = seen.owner
    status = progress.status(deployment, sets.all, sets.new, news, seen.now)
    if status != deployment.status:
        yield progress.written(deployment, status)
    elif (when := progress.deadline(deployment)) is not None:
        yield RecheckAt(when)
    # Last: as long as it is not written, `_is_news` says again what the status may not say yet.
    if sets.new is not None and _has_other_revision(deployment, sets.new):
        annotations = {revisions.REVISION: sets.new.metadata.annotations[revisions.REVISION]}
        yield Patch(deployment, {"metadata": {"annotations": annotations}}, is_versioned=False)


def _is_news(deployment: Deployment, new: ReplicaSet) -> bool:
    """Return whether the status may not yet speak of the current set.

    Differs: Kubernetes goes on to say that the former set is available when it crashed, or rolled
    back to a set that exists; its deadline then never passes.
    """
    return not progress.is_said(deployment) or _has_other_revision(deployment, new)


def _has_other_revision(deployment: Deployment, new: ReplicaSet) -> bool:
    revision = new.metadata.annotations.get(revisions.REVISION)
    return bool(revision) and revision != deployment.metadata.annotations.get(revisions.REVISION)


def _scaled(deployment: Deployment, way: str, name: str, before: int, size: int) -> Said:
    text = f"Scaled {way} replica set {name} from {before} to {size}"
    return Said(deployment, "ScalingReplicaSet", text)


def _selects_everything(selector: LabelSelector | None) -> bool:
    return selector is None or not (selector.match_labels or selector.match_expressions)
