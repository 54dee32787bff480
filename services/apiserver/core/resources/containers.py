"""What a container may say: its ports, environment, mounts, resources and probes.

Source: Kubernetes pkg/apis/core/validation/validation.go.
"""

import re
from collections.abc import Collection
from typing import Any

from pybernetes.machinery import names, quantity
from pybernetes.machinery.resource import Json

from .. import rules, trees
from ..rules import Causes

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_PROBE_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_RESOURCE_NAME = re.compile(r"cpu|memory|ephemeral-storage|hugepages-.+|.+/.+|storage")
_ENV_SOURCES = {
    "fieldRef": "fieldPath",
    "resourceFieldRef": "resource",
    "configMapKeyRef": "key",
    "secretKeyRef": "key",
    "fileKeyRef": "key",
}


def validate_container(
    container: Json, field: str, volumes: Collection[str], *, is_init: bool
) -> Causes:
    """Yield what is wrong with a container of a pod that has these volumes."""
    name = container.get("name") or ""
    if not name:
        yield rules.required(f"{field}.name")
    else:
        yield from rules.named(f"{field}.name", name, names.dns1123_label)
    image = container.get("image") or ""
    if not image:
        yield rules.required(f"{field}.image")
    elif image != image.strip():
        yield rules.invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    yield from _validate_ports(container, field)
    yield from _validate_env(container, field)
    yield from _validate_mounts(container, field, volumes)
    yield from validate_resources(trees.members(container, "resources"), f"{field}.resources")
    is_sidecar = is_init and container.get("restartPolicy") == "Always"
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        if is_init and not is_sidecar:
            yield rules.forbidden(
                f"{field}.{kind}", "may not be set for init containers without restartPolicy=Always"
            )
        else:
            yield from _validate_probe(probe, f"{field}.{kind}", kind)
    for hook in ("postStart", "preStop"):
        handler = trees.at(container, f"lifecycle.{hook}")
        if handler is not None:
            handlers = (*_HANDLERS[:3], "sleep")
            yield from _validate_handler(handler, f"{field}.lifecycle.{hook}", handlers)


def validate_resources(resources: Json, field: str) -> Causes:
    """Yield what is wrong with requests and limits."""
    limits, requests = trees.members(resources, "limits"), trees.members(resources, "requests")
    for member, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            path = f"{field}.{member}[{name}]"
            yield from _validate_resource_name(name, path)
            if quantity.parse(amount) < 0:
                yield rules.invalid(path, str(amount), "must be greater than or equal to 0")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if _is_extended(name):
                yield rules.required(
                    f"{field}.limits", "Limit must be set for non overcommitable resources"
                )
        elif _is_extended(name) and quantity.parse(amount) != quantity.parse(limit):
            yield rules.invalid(
                f"{field}.requests", str(amount), f"must be equal to {name} limit of {limit}"
            )
        elif quantity.parse(amount) > quantity.parse(limit):
            yield rules.invalid(
                f"{field}.requests",
                str(amount),
                f"must be less than or equal to {name} limit of {limit}",
            )


def _is_extended(name: str) -> bool:
    return ("/" in name and not name.startswith("kubernetes.io/")) or name.startswith("hugepages-")


def _validate_resource_name(name: str, path: str) -> Causes:
    if not _RESOURCE_NAME.fullmatch(name):
        yield rules.invalid(path, name, "must be a standard resource type or fully qualified")


def _validate_ports(container: Json, field: str) -> Causes:
    seen: set[str] = set()
    for path, port in trees.indexed(container, "ports", f"{field}."):
        name = port.get("name") or ""
        if name:
            yield from rules.named(f"{path}.name", name, names.port_name)
            if name in seen:
                yield rules.duplicate(f"{path}.name", name)
            seen.add(name)
        number = port.get("containerPort") or 0
        if not number:
            yield rules.required(f"{path}.containerPort")
        else:
            yield from rules.within(f"{path}.containerPort", number, 1, 65535)
        if port.get("hostPort"):
            yield from rules.within(f"{path}.hostPort", port["hostPort"], 1, 65535)


def _validate_env(container: Json, field: str) -> Causes:
    for path, variable in trees.indexed(container, "env", f"{field}."):
        name = variable.get("name") or ""
        if not name:
            yield rules.required(f"{path}.name")
        else:
            yield from rules.named(f"{path}.name", name, names.env_var_name)
        source = variable.get("valueFrom")
        if source is None:
            continue
        if variable.get("value"):
            yield rules.invalid(
                f"{path}.valueFrom", "", "may not be specified when `value` is not empty"
            )
        given = [member for member in _ENV_SOURCES if member in source]
        if not given:
            yield rules.invalid(
                f"{path}.valueFrom",
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
                "`secretKeyRef`",
            )
        elif len(given) > 1:
            yield rules.invalid(
                f"{path}.valueFrom", "", "may not have more than one field specified at a time"
            )
        for member in given:
            key = _ENV_SOURCES[member]
            if not source[member].get(key):
                yield rules.required(f"{path}.valueFrom.{member}.{key}")
    for path, source in trees.indexed(container, "envFrom", f"{field}."):
        given = [member for member in ("configMapRef", "secretRef") if member in source]
        if len(given) != 1:
            problem = (
                "may not have more than one field specified at a time"
                if given
                else "must specify one of: `configMapRef` or `secretRef`"
            )
            yield rules.invalid(path, "", problem)


def _validate_mounts(container: Json, field: str, volumes: Collection[str]) -> Causes:
    seen: set[str] = set()
    for path, mount in trees.indexed(container, "volumeMounts", f"{field}."):
        name, place = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield rules.required(f"{path}.name")
        elif name not in volumes:
            yield rules.not_found(f"{path}.name", name)
        if not place:
            yield rules.required(f"{path}.mountPath")
        elif place in seen:
            yield rules.invalid(f"{path}.mountPath", place, "must be unique")
        seen.add(place)
        if mount.get("subPath", "").startswith("/"):
            yield rules.invalid(f"{path}.subPath", mount["subPath"], "must be a relative path")


def _validate_probe(probe: Json, field: str, kind: str) -> Causes:
    yield from _validate_handler(probe, field, _HANDLERS)
    for key in _PROBE_NUMBERS:
        yield from rules.at_least(f"{field}.{key}", probe.get(key), 0)
    if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        yield rules.invalid(f"{field}.successThreshold", probe["successThreshold"], "must be 1")
    if probe.get("terminationGracePeriodSeconds") is not None:
        if kind == "readinessProbe":
            yield rules.invalid(
                f"{field}.terminationGracePeriodSeconds",
                probe["terminationGracePeriodSeconds"],
                "must not be set for readinessProbes",
            )
        else:
            yield from rules.positive(
                f"{field}.terminationGracePeriodSeconds", probe["terminationGracePeriodSeconds"]
            )


def _validate_handler(handler: Json, field: str, kinds: tuple[str, ...]) -> Causes:
    given = [kind for kind in kinds if kind in handler]
    if not given:
        yield rules.required(field, "must specify a handler type")
    for extra in given[1:]:
        yield rules.forbidden(f"{field}.{extra}", "may not specify more than 1 handler type")
    if "exec" in given and not trees.items(handler, "exec.command"):
        yield rules.required(f"{field}.exec.command")
    for kind in ("httpGet", "tcpSocket", "grpc"):
        if kind in given:
            yield from validate_port_reference(
                trees.at(handler, f"{kind}.port"), f"{field}.{kind}.port"
            )


def validate_port_reference(port: Any, field: str) -> Causes:
    """Yield what is wrong with a port given by number or by name."""
    if isinstance(port, str):
        for message in names.port_name(port):
            yield rules.invalid(field, port, message)
    else:
        for message in names.port_number(port or 0):
            yield rules.invalid(field, port or 0, message)
