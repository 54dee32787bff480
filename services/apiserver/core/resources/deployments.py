"""apps/v1 Deployment. Source: Kubernetes pkg/registry/apps/deployment, pkg/apis/apps."""

from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Context, Strategy
from ..rules import Causes
from . import workloads
from .podspec import default_template, validate_template

_SHARE = "25%"


class Deployments(Strategy):
    """apps/v1 Deployment."""

    has_status = True
    has_generation = True
    columns = (
        cols.NAME,
        cols.made("Ready", workloads.ready, "Pods that are ready, of those wanted."),
        cols.number("Up-to-date", "status.updatedReplicas", type="string"),
        cols.number("Available", "status.availableReplicas", type="string"),
        cols.AGE,
        *cols.of_template("spec.template.spec"),
        cols.of_selector("spec.selector"),
    )

    def default(self, obj: Json) -> None:
        """Fill in the template's defaults and the rolling update's shares."""
        default_template(obj)
        strategy = trees.ensure(trees.ensure(obj, "spec"), "strategy")
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = trees.ensure(strategy, "rollingUpdate")
            rolling.setdefault("maxUnavailable", _SHARE)
            rolling.setdefault("maxSurge", _SHARE)

    def prepare_for_update(self, new: Json, old: Json, ctx: Context) -> None:
        """Count a change of annotations too: rollouts copy them to their ReplicaSets."""
        super().prepare_for_update(new, old, ctx)
        generation = trees.count(old, "metadata.generation")
        if not ctx.subresource and trees.annotations_of(new) != trees.annotations_of(old):
            new["metadata"]["generation"] = generation + 1

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        yield from workloads.validate_counts(
            obj, "replicas", "minReadySeconds", "revisionHistoryLimit"
        )
        yield from workloads.validate_selector(obj, "deployment")
        yield from validate_template(obj, "ReplicaSet")
        yield from _validate_strategy(trees.members(obj, "spec.strategy"))
        deadline = trees.at(obj, "spec.progressDeadlineSeconds")
        yield from rules.at_least("spec.progressDeadlineSeconds", deadline, 0)
        if deadline is not None and deadline <= trees.count(obj, "spec.minReadySeconds"):
            yield rules.invalid(
                "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
            )

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The selector stays."""
        yield from rules.immutable(
            "spec.selector", trees.at(new, "spec.selector"), trees.at(old, "spec.selector")
        )


def _validate_strategy(strategy: Json) -> Causes:
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        return
    field = "spec.strategy.rollingUpdate"
    if strategy.get("type") == "Recreate":
        yield rules.forbidden(field, "may not be specified when strategy `type` is 'Recreate'")
        return
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    yield from workloads.validate_share(f"{field}.maxUnavailable", unavailable, at_most_all=True)
    yield from workloads.validate_share(f"{field}.maxSurge", surge)
    if workloads.is_zero(unavailable) and workloads.is_zero(surge):
        yield rules.invalid(
            f"{field}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"
        )
