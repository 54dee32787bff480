"""Revisions of a Deployment: numbers and copied annotations on its ReplicaSets.

Source: Kubernetes pkg/controller/deployment/util (SetNewReplicaSetAnnotations).
"""

from collections.abc import Iterable

from pybernetes.api.apps_v1 import Deployment, ReplicaSet

from . import rollout

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HISTORY_CHARACTERS_MAX = 2_000
"""Source: maxRevHistoryLengthInChars."""

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        rollout.DESIRED,
        rollout.MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)


def of(rs: ReplicaSet) -> int:
    """Return the revision of a ReplicaSet; 0 if it has none."""
    return rollout.annotation(rs, REVISION) or 0


def annotations(
    deployment: Deployment, new: ReplicaSet | None, old: Iterable[ReplicaSet]
) -> dict[str, str]:
    """Return what must change in the annotations of the current set, which may not exist yet.

    Its revision is above that of all others. A set that becomes current again, as after a
    rollback, gets a new revision and remembers its former ones.
    """
    held = new.metadata.annotations if new else {}
    changed = {
        key: value
        for key, value in deployment.metadata.annotations.items()
        if key not in _NOT_COPIED and held.get(key) != value
    }
    revision = max(map(of, old), default=0) + 1
    before = of(new) if new else 0
    if before < revision:
        changed[REVISION] = str(revision)
        if REVISION in held:
            changed[HISTORY] = _history(held.get(HISTORY, ""), str(before))
    return changed


def _history(earlier: str, revision: str) -> str:
    """Return the former revisions with one more, the oldest dropped if it grows too long."""
    listed = [part for part in earlier.split(",") if part]
    listed.append(revision)
    while len(",".join(listed)) > HISTORY_CHARACTERS_MAX:
        del listed[0]
    return ",".join(listed)
