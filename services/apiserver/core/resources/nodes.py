"""v1 Node. Source: Kubernetes pkg/registry/core/node/strategy.go."""

from collections.abc import Mapping
from typing import ClassVar

from pybernetes.machinery import conditions, names, quantity
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Context, Strategy
from ..rules import Causes

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def status(node: Json) -> str:
    """Return what `kubectl get nodes` shows as STATUS."""
    ready = conditions.get(trees.items(node, "status.conditions"), "Ready")
    shown = "Unknown"
    if ready is not None:
        shown = "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{shown},SchedulingDisabled" if trees.at(node, "spec.unschedulable") else shown


def roles(node: Json) -> str:
    """Return the node's roles, from its labels."""
    found = set()
    for key, value in trees.labels_of(node).items():
        if key.startswith(_ROLE_PREFIX) and key != _ROLE_PREFIX:
            found.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL and value:
            found.add(value)
    return ",".join(sorted(found)) or cols.NONE


def _address(type_: str) -> cols.Column:
    def find(node: Json) -> str:
        for address in trees.items(node, "status.addresses"):
            if address.get("type") == type_:
                return str(address.get("address"))
        return cols.NONE

    return cols.made(type_.replace("IP", "-IP"), find, f"First {type_}.", wide=True)


def _kernel(node: Json) -> str:
    version = trees.text(node, "status.nodeInfo.kernelVersion") or cols.UNKNOWN
    architecture = trees.text(node, "status.nodeInfo.architecture")
    return f"{version} ({architecture})" if architecture else version


class Nodes(Strategy):
    """v1 Node: a machine that registers itself, with its status."""

    has_status = True
    field_paths: ClassVar[Mapping[str, str]] = {"metadata.name": "metadata.name"}
    columns = (
        cols.NAME,
        cols.made("Status", status, "Whether the node is ready and takes pods."),
        cols.made("Roles", roles, "From the labels node-role.kubernetes.io/…."),
        cols.AGE,
        cols.at("Version", "status.nodeInfo.kubeletVersion"),
        _address("InternalIP"),
        _address("ExternalIP"),
        cols.at("OS-Image", "status.nodeInfo.osImage", cols.UNKNOWN, wide=True),
        cols.made("Kernel-Version", _kernel, "Kernel, and architecture.", wide=True),
        cols.at(
            "Container-Runtime",
            "status.nodeInfo.containerRuntimeVersion",
            cols.UNKNOWN,
            wide=True,
        ),
    )

    def default(self, obj: Json) -> None:
        """What can be allocated is all there is, unless the node says otherwise."""
        found = trees.members(obj, "status")
        for key in ("capacity", "allocatable"):
            for name, amount in trees.members(found, key).items():
                found[key][name] = quantity.rounded_up_to_milli(str(amount))
        if found.get("capacity") and not found.get("allocatable"):
            found["allocatable"] = dict(found["capacity"])

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Keep the status: a node tells it when it registers."""
        obj.setdefault("status", {})

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the taints."""
        seen: set[tuple[object, object]] = set()
        for path, taint in trees.indexed(obj, "spec.taints"):
            key, effect = taint.get("key") or "", taint.get("effect") or ""
            if not key:
                yield rules.required(f"{path}.key")
            else:
                yield from rules.named(f"{path}.key", key, names.qualified_name)
            yield from rules.named(f"{path}.value", taint.get("value") or "", names.label_value)
            if effect not in _EFFECTS:
                yield rules.not_supported(f"{path}.effect", effect, _EFFECTS)
            if (key, effect) in seen:
                yield rules.duplicate(path, taint)
            seen.add((key, effect))

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """Pod ranges and the provider's id stay once they are known."""
        for key in ("podCIDR", "podCIDRs", "providerID"):
            before, after = trees.at(old, f"spec.{key}"), trees.at(new, f"spec.{key}")
            if before and before != after:
                yield rules.forbidden(
                    f"spec.{key}",
                    'node updates may not change podCIDR except from "" to valid'
                    if key != "providerID"
                    else 'node updates may not change providerID except from "" to valid',
                )

    def selectable_fields(self, obj: Json) -> Mapping[str, str]:
        """Return the fields that nodes are selected by."""
        is_closed = bool(trees.at(obj, "spec.unschedulable"))
        return {
            **super().selectable_fields(obj),
            "spec.unschedulable": "true" if is_closed else "false",
        }
