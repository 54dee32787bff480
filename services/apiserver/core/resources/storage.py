"""Storage: storage.k8s.io/v1, v1 PersistentVolume and PersistentVolumeClaim.

Source: Kubernetes pkg/registry/storage, pkg/registry/core/persistentvolume{,claim}.
"""

from collections.abc import Iterable

from pybernetes.machinery import quantity
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..columns import Column
from ..resource import Context, Strategy
from ..rules import Causes

_DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def access_modes(modes: Iterable[str]) -> str:
    """Return access modes as kubectl abbreviates them."""
    found = set(modes)
    return ",".join(short for mode, short in _MODES.items() if mode in found)


def _phase(obj: Json) -> str:
    if trees.text(obj, "metadata.deletionTimestamp"):
        return "Terminating"
    return trees.text(obj, "status.phase")


def _class(obj: Json) -> str:
    old = trees.annotations_of(obj).get(_OLD_CLASS)
    return old or trees.text(obj, "spec.storageClassName")


def _claim(volume: Json) -> str:
    claim = trees.at(volume, "spec.claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _if_bound(claim: Json, value: str) -> str:
    return value if trees.text(claim, "spec.volumeName") else ""


class PersistentVolumes(Strategy):
    """v1 PersistentVolume."""

    has_status = True
    columns = (
        cols.NAME,
        cols.at("Capacity", "spec.capacity.storage", "0"),
        cols.made(
            "Access Modes",
            lambda obj: access_modes(trees.items(obj, "spec.accessModes")),
            "How it can be mounted.",
        ),
        cols.at("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
        cols.made("Status", _phase, "How the volume is."),
        cols.made("Claim", _claim, "Who has it."),
        cols.made("StorageClass", _class, "Its class."),
        cols.at("VolumeAttributesClass", "spec.volumeAttributesClassName", cols.UNSET),
        cols.at("Reason", "status.reason"),
        cols.AGE,
        cols.at("VolumeMode", "spec.volumeMode", cols.UNSET, wide=True),
    )

    def default(self, obj: Json) -> None:
        """Volumes are file systems, kept when released."""
        spec = trees.ensure(obj, "spec")
        spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
        spec.setdefault("volumeMode", "Filesystem")

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Start as Pending."""
        obj["status"] = {"phase": "Pending"}

    def validate(self, obj: Json) -> Causes:
        """A volume has access modes and a size."""
        if not trees.items(obj, "spec.accessModes"):
            yield rules.required("spec.accessModes")
        capacity = trees.members(obj, "spec.capacity")
        if not capacity:
            yield rules.required("spec.capacity")
        elif set(capacity) != {"storage"}:
            yield rules.not_supported("spec.capacity", sorted(capacity), ("storage",))
        elif quantity.parse(capacity["storage"]) <= 0:
            yield rules.invalid(
                "spec.capacity[storage]", capacity["storage"], "must be greater than zero"
            )


class PersistentVolumeClaims(Strategy):
    """v1 PersistentVolumeClaim."""

    has_status = True
    columns = (
        cols.NAME,
        cols.made("Status", _phase, "How the claim is."),
        cols.at("Volume", "spec.volumeName"),
        cols.made(
            "Capacity",
            lambda obj: _if_bound(obj, trees.text(obj, "status.capacity.storage")),
            "How much the claim got.",
        ),
        cols.made(
            "Access Modes",
            lambda obj: _if_bound(obj, access_modes(trees.items(obj, "status.accessModes"))),
            "How it can be mounted.",
        ),
        cols.made("StorageClass", _class, "Its class."),
        cols.at("VolumeAttributesClass", "spec.volumeAttributesClassName", cols.UNSET),
        cols.AGE,
        cols.at("VolumeMode", "spec.volumeMode", cols.UNSET, wide=True),
    )

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Start as Pending."""
        obj["status"] = {"phase": "Pending"}

    def validate(self, obj: Json) -> Causes:
        """A claim asks for a size and for ways to mount it."""
        if not trees.items(obj, "spec.accessModes"):
            yield rules.required("spec.accessModes", "at least 1 access mode is required")
        if not trees.text(obj, "spec.resources.requests.storage"):
            yield rules.required("spec.resources[storage]")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """A claim may grow and be bound, nothing else."""
        after, before = _without_size(new), _without_size(old)
        if not trees.text(old, "spec.volumeName"):
            after.pop("volumeName", None)
        if after != before:
            yield rules.forbidden(
                "spec",
                "spec is immutable after creation except resources.requests and "
                "volumeAttributesClassName for bound claims",
            )


def _without_size(claim: Json) -> Json:
    return trees.without(trees.members(claim, "spec"), "resources", "volumeAttributesClassName")


def _is_default(storage_class: Json) -> bool:
    annotations = trees.annotations_of(storage_class)
    return any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)


class StorageClasses(Strategy):
    """storage.k8s.io/v1 StorageClass."""

    columns = (
        Column(
            "Name",
            lambda obj, now: trees.name_of(obj) + (" (default)" if _is_default(obj) else ""),
            format="name",
            description="Name, and whether claims without a class take it.",
        ),
        cols.at("Provisioner", "provisioner"),
        cols.at("ReclaimPolicy", "reclaimPolicy", "Delete"),
        cols.at("VolumeBindingMode", "volumeBindingMode", "Immediate"),
        cols.at("AllowVolumeExpansion", "allowVolumeExpansion", False),
        cols.AGE,
    )

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """What volumes were made by, stays."""
        for key in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            if new.get(key) != old.get(key):
                yield rules.forbidden(key, f"updates to {key} are forbidden.")


class VolumeAttributesClasses(Strategy):
    """storage.k8s.io/v1 VolumeAttributesClass."""

    columns = (cols.NAME, cols.at("DriverName", "driverName"), cols.AGE)


class VolumeAttachments(Strategy):
    """storage.k8s.io/v1 VolumeAttachment."""

    has_status = True
    columns = (
        cols.NAME,
        Column(
            "Attacher",
            lambda obj, now: trees.text(obj, "spec.attacher"),
            format="name",
            description="Who attaches it.",
        ),
        cols.at("PV", "spec.source.persistentVolumeName"),
        cols.at("Node", "spec.nodeName"),
        cols.at("Attached", "status.attached", False, type="boolean"),
        cols.AGE,
    )

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """What is attached where, stays."""
        yield from rules.immutable("spec", new.get("spec"), old.get("spec"))


class CsiDrivers(Strategy):
    """storage.k8s.io/v1 CSIDriver."""

    has_generation = True
    columns = (
        cols.NAME,
        cols.made(
            "AttachRequired",
            lambda obj: trees.at(obj, "spec.attachRequired") is not False,
            "Whether volumes are attached to nodes.",
            type="boolean",
        ),
        cols.at("PodInfoOnMount", "spec.podInfoOnMount", False, type="boolean"),
        cols.at("StorageCapacity", "spec.storageCapacity", False, type="boolean"),
        cols.made(
            "TokenRequests",
            lambda obj: (
                ",".join(
                    request.get("audience", "")
                    for request in trees.items(obj, "spec.tokenRequests")
                )
                or cols.UNSET
            ),
            "Audiences of the tokens it gets.",
        ),
        cols.at("RequiresRepublish", "spec.requiresRepublish", False, type="boolean"),
        cols.made(
            "Modes",
            lambda obj: ",".join(trees.items(obj, "spec.volumeLifecycleModes")) or cols.NONE,
            "Kinds of volumes it makes.",
        ),
        cols.AGE,
    )


class CsiNodes(Strategy):
    """storage.k8s.io/v1 CSINode."""

    columns = (
        cols.NAME,
        cols.made(
            "Drivers",
            lambda obj: len(trees.items(obj, "spec.drivers")),
            "How many drivers the node has.",
            type="integer",
        ),
        cols.AGE,
    )
