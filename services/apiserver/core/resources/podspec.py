"""Pod specs, in pods and in templates: the defaults and rules that all of them share.

Source: Kubernetes pkg/apis/core/v1/defaults.go and pkg/apis/core/validation/validation.go.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pybernetes.machinery import names, quantity
from pybernetes.machinery.resource import Json

from .. import rules, trees
from ..rules import Causes
from .containers import validate_container

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
TEMPLATES = ("spec.template.spec", "spec.jobTemplate.spec.template.spec", "template.spec")

_VOLUME_MEMBERS = frozenset({"name"})
_SECONDS_MAX = 2**31 - 1
_TOLERATION_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def containers(spec: Any, *lists: str) -> Iterator[Json]:
    """Yield the containers of a pod spec, of all lists or of those named."""
    for listed in lists or CONTAINER_LISTS:
        yield from trees.items(spec, listed)


def default_pod_spec(spec: Json) -> None:
    """Fill in the conditional defaults that hold in templates too."""
    for container in containers(spec):
        if not container.get("imagePullPolicy"):
            container["imagePullPolicy"] = pull_policy(container.get("image") or "")
        resources = container.get("resources")
        if resources:
            round_resources(resources)
    for volume in trees.items(spec, "volumes"):
        if not set(volume) - _VOLUME_MEMBERS:
            volume["emptyDir"] = {}
        image = volume.get("image")
        if image is not None and not image.get("pullPolicy"):
            image["pullPolicy"] = pull_policy(image.get("reference") or "")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def default_template(obj: Json, path: str = "spec.template.spec") -> None:
    """Fill in the conditional defaults of the pod template at a path."""
    spec = trees.at(obj, path)
    if isinstance(spec, dict):
        default_pod_spec(spec)


def pull_policy(image: str) -> str:
    """Return the default imagePullPolicy: Always for `latest`, said or meant."""
    name, _, digest = image.partition("@")
    _, _, last = name.rpartition("/")
    _, colon, tag = last.partition(":")
    is_latest = tag == "latest" or not (colon or digest)
    return "Always" if is_latest else "IfNotPresent"


def round_resources(resources: Json) -> None:
    """Round every quantity of a ResourceRequirements up to thousandths."""
    for member in ("limits", "requests"):
        for name, amount in trees.members(resources, member).items():
            resources[member][name] = quantity.rounded_up_to_milli(str(amount))


def validate_pod_spec(spec: Json, field: str) -> Causes:
    """Yield what is wrong with a pod spec at `field`."""
    volumes = [volume.get("name") or "" for volume in trees.items(spec, "volumes")]
    yield from _validate_volumes(spec, field)
    if not trees.items(spec, "containers"):
        yield rules.required(f"{field}.containers")
    seen: set[str] = set()
    for listed in CONTAINER_LISTS:
        for path, container in trees.indexed(spec, listed, f"{field}."):
            yield from validate_container(
                container, path, volumes, is_init=listed == "initContainers"
            )
            name = container.get("name") or ""
            if name and name in seen:
                yield rules.duplicate(f"{path}.name", name)
            seen.add(name)
    yield from rules.within(
        f"{field}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1, _SECONDS_MAX
    )
    yield from rules.at_least(
        f"{field}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds"), 0
    )
    yield from rules.labels(f"{field}.nodeSelector", trees.members(spec, "nodeSelector"))
    yield from _validate_names(spec, field)
    yield from _validate_host(spec, field)
    for path, toleration in trees.indexed(spec, "tolerations", f"{field}."):
        yield from validate_toleration(toleration, path)
    yield from _validate_affinity(trees.members(spec, "affinity"), f"{field}.affinity")
    for path, constraint in trees.indexed(spec, "topologySpreadConstraints", f"{field}."):
        yield from rules.positive(f"{path}.maxSkew", constraint.get("maxSkew", 0))
        yield from rules.label_selector(f"{path}.labelSelector", constraint.get("labelSelector"))


def validate_template(
    obj: Json, kind: str, *, restart_policies: Iterable[str] = ("Always",)
) -> Causes:
    """Yield what is wrong with `spec.template` of a workload."""
    template = trees.members(obj, "spec.template")
    field = "spec.template"
    yield from rules.labels(f"{field}.metadata.labels", trees.labels_of(template))
    for key in trees.annotations_of(template):
        for message in names.qualified_name(key.lower()):
            yield rules.invalid(f"{field}.metadata.annotations", key, message)
    spec = trees.members(template, "spec")
    yield from validate_pod_spec(spec, f"{field}.spec")
    yield from rules.one_of(
        f"{field}.spec.restartPolicy", spec.get("restartPolicy"), restart_policies
    )
    if tuple(restart_policies) == ("Always",) and spec.get("activeDeadlineSeconds") is not None:
        yield rules.forbidden(
            f"{field}.spec.activeDeadlineSeconds",
            f"activeDeadlineSeconds in {kind} is not Supported",
        )


def validate_toleration(toleration: Mapping[str, Any], field: str) -> Causes:
    """Yield what is wrong with one toleration."""
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    if key:
        yield from rules.named(f"{field}.key", key, names.qualified_name)
    elif operator != "Exists":
        yield rules.invalid(
            f"{field}.operator",
            operator,
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"',
        )
    if operator == "Exists" and value:
        yield rules.invalid(
            f"{field}.operator", value, "value must be empty when `operator` is 'Exists'"
        )
    if operator == "Equal":
        for message in names.label_value(value):
            yield rules.invalid(f"{field}.operator", value, message)
    yield from rules.one_of(f"{field}.effect", effect, _TOLERATION_EFFECTS)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield rules.invalid(
            f"{field}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )


def _validate_volumes(spec: Json, field: str) -> Causes:
    seen: set[str] = set()
    for path, volume in trees.indexed(spec, "volumes", f"{field}."):
        name = volume.get("name") or ""
        if not name:
            yield rules.required(f"{path}.name")
        else:
            yield from rules.named(f"{path}.name", name, names.dns1123_label)
        if name and name in seen:
            yield rules.duplicate(f"{path}.name", name)
        seen.add(name)
        sources = sorted(set(volume) - _VOLUME_MEMBERS)
        for extra in sources[1:]:
            yield rules.forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")
        yield from _validate_source(volume, path)


def _validate_source(volume: Json, path: str) -> Causes:
    for member, key in (
        ("hostPath", "path"),
        ("secret", "secretName"),
        ("configMap", "name"),
        ("persistentVolumeClaim", "claimName"),
    ):
        source = volume.get(member)
        if isinstance(source, dict):
            if not source.get(key):
                yield rules.required(f"{path}.{member}.{key}")
            for place, item in trees.indexed(source, "items", f"{path}.{member}."):
                yield from _validate_file(item, place)
    limit = trees.text(volume, "emptyDir.sizeLimit")
    if limit and quantity.parse(limit) < 0:
        yield rules.forbidden(
            f"{path}.emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity"
        )


def _validate_file(item: Json, path: str) -> Causes:
    if not item.get("key"):
        yield rules.required(f"{path}.key")
    if not item.get("path"):
        yield rules.required(f"{path}.path")
        return
    if item["path"].startswith("/"):
        yield rules.invalid(f"{path}.path", item["path"], "must be a relative path")
    if ".." in item["path"].split("/"):
        yield rules.invalid(f"{path}.path", item["path"], "must not contain '..'")


def _validate_names(spec: Json, field: str) -> Causes:
    for key, rule in (
        ("serviceAccountName", names.dns1123_subdomain),
        ("nodeName", names.dns1123_subdomain),
        ("hostname", names.dns1123_label),
        ("subdomain", names.dns1123_label),
        ("priorityClassName", names.dns1123_subdomain),
        ("runtimeClassName", names.dns1123_subdomain),
        ("schedulerName", names.qualified_name),
    ):
        if spec.get(key):
            yield from rules.named(f"{field}.{key}", spec[key], rule)


def _validate_host(spec: Json, field: str) -> Causes:
    if not spec.get("hostNetwork"):
        return
    for listed in ("containers", "initContainers"):
        for path, container in trees.indexed(spec, listed, f"{field}."):
            for place, port in trees.indexed(container, "ports", f"{path}."):
                host = port.get("hostPort")
                if host and host != port.get("containerPort"):
                    yield rules.invalid(
                        f"{place}.containerPort",
                        port.get("containerPort"),
                        "must match `hostPort` when `hostNetwork` is true",
                    )


def _validate_affinity(affinity: Json, field: str) -> Causes:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = trees.at(affinity, f"nodeAffinity.{required}")
    if isinstance(terms, dict) and not terms.get("nodeSelectorTerms"):
        yield rules.required(
            f"{field}.nodeAffinity.{required}.nodeSelectorTerms",
            "must have at least one node selector term",
        )
    for kind in ("podAffinity", "podAntiAffinity"):
        for path, term in trees.indexed(affinity, f"{kind}.{required}", f"{field}."):
            if not term.get("topologyKey"):
                yield rules.required(f"{path}.topologyKey", "can not be empty")
            yield from rules.label_selector(f"{path}.labelSelector", term.get("labelSelector"))
