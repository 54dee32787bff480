"""Who may do what.

Components and administrators may do everything; everybody else who is known may ask what there is
and who they are. Differs: roles and bindings are stored, and not yet consulted.
"""

from dataclasses import dataclass

from pybernetes.machinery import errors
from pybernetes.machinery.errors import Forbidden
from pybernetes.machinery.resource import Resource

from .authn import MASTERS, User

NODES = "system:nodes"
COMPONENTS = frozenset(
    {"system:kube-scheduler", "system:kube-controller-manager", "system:kube-proxy"}
)

PUBLIC_PATHS = ("/livez", "/readyz", "/healthz", "/version")
"""What may be read without saying who one is."""

_OPEN_PATHS = (*PUBLIC_PATHS, "/api", "/apis", "/openapi")
_OPEN_RESOURCES = frozenset(
    {
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What somebody wants to do: to a resource, or (with a path) to something else."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def is_public(path: str) -> bool:
    """Return whether a path is open to the anonymous."""
    return any(path == known or path.startswith(known + "/") for known in PUBLIC_PATHS)


def has_all_rights(user: User) -> bool:
    """Return whether a user may do everything."""
    return MASTERS in user.groups or NODES in user.groups or user.name in COMPONENTS


def reason(user: User, access: Access) -> str:
    """Return why a user may do something; "" if it may not."""
    if has_all_rights(user):
        return f'user "{user.name}" or one of its groups may do everything'
    if access.path:
        is_open = access.verb == "get" and any(
            access.path == known or access.path.startswith(known + "/") for known in _OPEN_PATHS
        )
        return "discovery is open to every user" if is_open else ""
    if access.verb == "create" and (access.group, access.resource) in _OPEN_RESOURCES:
        return "every user may ask about itself"
    return ""


def check(user: User, access: Access) -> None:
    """Raise Forbidden unless a user may do something."""
    if not reason(user, access):
        raise denied(user, access)


def denied(user: User, access: Access) -> Forbidden:
    """Return the refusal, in Kubernetes' words."""
    if access.path:
        return Forbidden(f'forbidden: User "{user.name}" cannot {access.verb} path "{access.path}"')
    whole = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
    where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
    resource = Resource(access.group, "", "", access.resource, bool(access.namespace))
    return errors.forbidden(
        resource,
        access.name,
        f'User "{user.name}" cannot {access.verb} resource "{whole}" '
        f'in API group "{access.group}" {where}',
    )
