"""v1 Pod. Source: Kubernetes pkg/registry/core/pod/strategy.go."""

from collections.abc import Mapping
from datetime import datetime

from pybernetes.machinery import conditions, errors
from pybernetes.machinery.resource import Json, Resource

from .. import rules, trees
from ..resource import Context, Strategy, selectable
from ..rules import Causes
from . import pod_columns
from .podspec import containers, default_pod_spec, validate_pod_spec

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)

_NODE_TROUBLES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_BUILT_IN_PRIORITIES = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}
_QOS_RESOURCES = ("cpu", "memory")
_ONLY_THESE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


class Pods(Strategy):
    """v1 Pod."""

    has_status = True
    has_generation = True
    columns = pod_columns.COLUMNS
    field_paths = selectable(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        spec_host="spec.nodeName",
    )

    def default(self, obj: Json) -> None:
        """Fill in requests from limits, host ports, pull policies, address mirrors."""
        spec = trees.ensure(obj, "spec")
        default_pod_spec(spec)
        spec.setdefault("enableServiceLinks", True)
        for container in containers(spec, "initContainers", "containers"):
            limits = trees.members(container, "resources.limits")
            if limits:
                requests = trees.ensure(container["resources"], "requests")
                for name, amount in limits.items():
                    requests.setdefault(name, amount)
            if spec.get("hostNetwork"):
                for port in trees.items(container, "ports"):
                    if not port.get("hostPort") and port.get("containerPort"):
                        port["hostPort"] = port["containerPort"]
        _mirror_ips(trees.members(obj, "status"))

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Start as Pending; settle account, priority and tolerations as admission would."""
        trees.ensure(obj, "metadata")["generation"] = 1
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj)}
        spec = trees.ensure(obj, "spec")
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = spec["serviceAccount"] = "default"
        _settle_priority(spec)
        _tolerate_node_troubles(spec, ctx.eviction_toleration_s)

    def prepare_for_update(self, new: Json, old: Json, ctx: Context) -> None:
        """Keep what this endpoint may not change."""
        super().prepare_for_update(new, old, ctx)
        if ctx.subresource == "status":
            status = new["status"]
            if old_class := trees.text(old, "status.qosClass"):
                status.setdefault("qosClass", old_class)
            _mirror_ips(status)

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        yield from validate_pod_spec(trees.members(obj, "spec"), "spec")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """Almost nothing of a pod's spec may change."""
        if subresource in ("status", "resize"):
            return
        after, before = trees.members(new, "spec"), trees.members(old, "spec")
        if subresource == "ephemeralcontainers":
            if trees.without(after, "ephemeralContainers") != trees.without(
                before, "ephemeralContainers"
            ):
                yield rules.forbidden("spec", "only ephemeralContainers may change here")
            return
        yield from _validate_images(after)
        yield from _validate_deadline(after, before)
        yield from _validate_tolerations(after, before)
        if _comparable(after) != _comparable(before):
            yield rules.forbidden("spec", _ONLY_THESE)

    def selectable_fields(self, obj: Json) -> Mapping[str, str]:
        """Return the fields that pods are selected by."""
        addresses = ",".join(found.get("ip", "") for found in trees.items(obj, "status.podIPs"))
        is_on_host = bool(trees.at(obj, "spec.hostNetwork"))
        return {
            **super().selectable_fields(obj),
            "spec.hostNetwork": "true" if is_on_host else "false",
            "status.podIPs": addresses,
        }

    def graceful_delete(self, obj: Json, options: Json) -> int:
        """Return the grace period; 0 if no node agent has to stop anything."""
        wished = options.get("gracePeriodSeconds")
        if wished is None:
            wished = trees.at(obj, "spec.terminationGracePeriodSeconds")
        grace_s = 30 if wished is None else int(wished)
        if not trees.text(obj, "spec.nodeName"):
            return 0
        if trees.text(obj, "status.phase") in ("Succeeded", "Failed"):
            return 0
        return max(grace_s, 0)


def bind(pod: Json, binding: Json, now: datetime) -> Json:
    """Return the pod placed on the node that a v1 Binding names.

    Raises Conflict if the pod has a node, is being deleted, or is another than the binding's.
    """
    name = trees.name_of(pod)
    target, kind = trees.text(binding, "target.name"), trees.text(binding, "target.kind")
    wrong = []
    if kind not in ("", "Node"):
        wrong.append(rules.not_supported("target.kind", kind, ("Node", "<empty>")))
    if not target:
        wrong.append(rules.required("target.name"))
    if wrong:
        raise errors.invalid(Resource("", "v1", "Binding", "bindings", True), name, wrong)
    uid = trees.text(binding, "metadata.uid")
    if uid and uid != trees.text(pod, "metadata.uid"):
        raise errors.conflict(
            PODS,
            name,
            f"Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {trees.text(pod, 'metadata.uid')}",
        )
    if trees.text(pod, "metadata.deletionTimestamp"):
        raise errors.conflict(
            PODS, name, f"pod {name} is being deleted, cannot be assigned to a host"
        )
    if node := trees.text(pod, "spec.nodeName"):
        raise errors.conflict(PODS, name, f'pod {name} is already assigned to node "{node}"')
    if trees.items(pod, "spec.schedulingGates"):
        raise errors.conflict(PODS, name, f"pod {name} has non-empty .spec.schedulingGates")
    metadata = {**trees.members(pod, "metadata")}
    if annotations := {**trees.annotations_of(pod), **trees.annotations_of(binding)}:
        metadata["annotations"] = annotations
    status = {**trees.members(pod, "status")}
    status["conditions"] = conditions.put(
        trees.items(status, "conditions"), "PodScheduled", "True", now=now
    )
    spec = {**trees.members(pod, "spec"), "nodeName": target}
    return {**pod, "metadata": metadata, "spec": spec, "status": status}


def qos_class(pod: Json) -> str:
    """Return Guaranteed, Burstable or BestEffort."""
    requests: dict[str, set[str]] = {}
    limited = True
    for container in containers(pod.get("spec"), "initContainers", "containers"):
        limits = trees.members(container, "resources.limits")
        asked = trees.members(container, "resources.requests")
        for name in _QOS_RESOURCES:
            for amount in (limits.get(name), asked.get(name, limits.get(name))):
                if amount is not None and amount != "0":
                    requests.setdefault(name, set()).add(amount)
            has_limit = limits.get(name) not in (None, "0")
            limited &= has_limit and asked.get(name, limits[name]) == limits[name]
    if not requests:
        return "BestEffort"
    return "Guaranteed" if limited else "Burstable"


def _settle_priority(spec: Json) -> None:
    """Differs: classes other than the built-in ones give no priority here."""
    class_name = spec.get("priorityClassName") or ""
    spec.setdefault("priority", _BUILT_IN_PRIORITIES.get(class_name, 0))
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _tolerate_node_troubles(spec: Json, toleration_s: int) -> None:
    """As the admission plugin DefaultTolerationSeconds."""
    present = trees.items(spec, "tolerations")
    added = []
    for key in _NODE_TROUBLES:
        is_tolerated = any(
            toleration.get("key") in (key, None, "")
            and toleration.get("effect") in ("NoExecute", None, "")
            for toleration in present
        )
        if not is_tolerated:
            added.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": toleration_s,
                }
            )
    if added:
        spec["tolerations"] = [*present, *added]


def _mirror_ips(status: Json) -> None:
    """Make podIP and podIPs say the same."""
    for single, plural in (("podIP", "podIPs"), ("hostIP", "hostIPs")):
        listed = trees.items(status, plural)
        if listed and listed[0].get("ip"):
            status[single] = listed[0]["ip"]
        elif status.get(single):
            status[plural] = [{"ip": status[single]}]


def _comparable(spec: Json) -> Json:
    """Return the spec without what an update may change (each has its own rule)."""
    kept = trees.without(spec, "activeDeadlineSeconds", "tolerations", "schedulingGates")
    if kept.get("terminationGracePeriodSeconds", 0) < 0:
        kept["terminationGracePeriodSeconds"] = 1
    for listed in ("containers", "initContainers"):
        if listed in kept:
            kept[listed] = [trees.without(container, "image") for container in kept[listed]]
    return kept


def _validate_images(after: Json) -> Causes:
    for listed in ("containers", "initContainers"):
        for path, container in trees.indexed(after, listed, "spec."):
            if not container.get("image"):
                yield rules.required(f"{path}.image")


def _validate_deadline(after: Json, before: Json) -> Causes:
    field, key = "spec.activeDeadlineSeconds", "activeDeadlineSeconds"
    new, old = after.get(key), before.get(key)
    if old is not None and new is None:
        yield rules.invalid(field, None, "must not update from a positive integer to nil value")
    elif old is not None and new > old:
        yield rules.invalid(field, new, f"must be less than or equal to previous value ({old})")


def _validate_tolerations(after: Json, before: Json) -> Causes:
    kept = [trees.without(found, "tolerationSeconds") for found in after.get("tolerations") or ()]
    for toleration in trees.items(before, "tolerations"):
        if trees.without(toleration, "tolerationSeconds") not in kept:
            yield rules.forbidden(
                "spec.tolerations",
                "existing toleration can not be modified except its tolerationSeconds",
            )
            return
