"""The smallest valid objects, in one line: what is not mentioned does not matter."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pybernetes.api.core_v1 import Node, Pod
from pybernetes.machinery.resource import Json


def pod_tree(
    name: str = "web",
    *,
    namespace: str = "default",
    uid: str = "",
    labels: Mapping[str, str] | None = None,
    requests: Mapping[str, str] | None = None,
    node: str = "",
    phase: str = "Pending",
    **spec: Any,
) -> Json:
    """Return a pod of one container; further arguments are fields of its spec, in JSON's names."""
    container = {"name": "main", "image": "app", "resources": {"requests": dict(requests or {})}}
    metadata: Json = {"name": name, "namespace": namespace, "labels": dict(labels or {})}
    if uid:
        metadata["uid"] = uid
    if node:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "schedulerName": "default-scheduler"} | spec,
        "status": {"phase": phase},
    }


def node_tree(
    name: str = "node-1",
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[str] = (),
    unschedulable: bool = False,
    **allocatable: str,
) -> Json:
    """Return a node; taints are written `key=value:Effect`, further arguments are resources."""
    room = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "10Gi", "pods": "110"} | allocatable
    spec: Json = {"taints": [_taint(text) for text in taints]}
    if unschedulable:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": dict(labels or {})},
        "spec": spec,
        "status": {"capacity": room, "allocatable": room},
    }


def pod(name: str = "web", **fields: Any) -> Pod:
    """Return `pod_tree` as its typed view; its uid is its name unless given."""
    return msgspec.convert(pod_tree(name, **({"uid": name} | fields)), Pod)


def node(name: str = "node-1", **fields: Any) -> Node:
    """Return `node_tree` as its typed view."""
    return msgspec.convert(node_tree(name, **fields), Node)


def _taint(text: str) -> Json:
    head, _, effect = text.partition(":")
    key, _, value = head.partition("=")
    return {"key": key, "value": value, "effect": effect}
