"""Namespaces as a condition of writes: new objects need an open one, and some must stay.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle.
"""

from pybernetes.machinery import errors
from pybernetes.machinery.errors import Forbidden
from pybernetes.machinery.resource import Json, Resource

from .core import trees

NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
IMMORTAL = ("default", "kube-system", "kube-public")


def check_open(resource: Resource, name: str, namespace: str, found: Json | None) -> None:
    """Raise unless new objects may be made in a namespace, which is `found` (None: missing)."""
    if found is None:
        raise errors.not_found(NAMESPACES, namespace)
    is_going = trees.text(found, "metadata.deletionTimestamp")
    if not is_going and trees.text(found, "status.phase") != "Terminating":
        return
    error = errors.forbidden(
        resource,
        name,
        f"unable to create new content in namespace {namespace} because it is being terminated",
    )
    error.details["causes"] = [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    raise error


def check_mortal(resource: Resource, name: str) -> None:
    """Raise Forbidden for the deletion of a namespace that the cluster cannot be without."""
    if resource.plural == NAMESPACES.plural and not resource.group and name in IMMORTAL:
        why: Forbidden = errors.forbidden(NAMESPACES, name, "this namespace may not be deleted")
        raise why
