"""Questions about users and rights, answered truthfully: nothing of them is stored."""

from collections.abc import Mapping

from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.resource import Json, Resource

from . import authz
from .authn import User
from .authz import Access
from .core import trees

_REVIEWS = frozenset(
    {
        "localsubjectaccessreviews",
        "selfsubjectaccessreviews",
        "selfsubjectreviews",
        "subjectaccessreviews",
        "tokenreviews",
    }
)


class Reviews:
    """Answers of authentication.k8s.io and authorization.k8s.io."""

    def __init__(self, tokens: Mapping[str, User]) -> None:
        self._tokens = tokens

    def answers(self, resource: Resource) -> bool:
        """Return whether creating this resource is asking a question."""
        return resource.plural in _REVIEWS

    def answer(self, resource: Resource, namespace: str, review: Json, user: User) -> Json:
        """Return the review with its status."""
        match resource.plural:
            case "selfsubjectreviews":
                status: Json = {"userInfo": _user_info(user)}
            case "tokenreviews":
                status = self._token_status(trees.text(review, "spec.token"))
            case "selfsubjectaccessreviews":
                status = _access_status(review, user)
            case _:
                status = _access_status(review, _subject(review))
                given = trees.text(review, "spec.resourceAttributes.namespace")
                if resource.namespaced and given != namespace:
                    raise BadRequest(
                        "spec.resourceAttributes.namespace: must match the request's namespace"
                    )
        return {**review, "metadata": review.get("metadata") or {}, "status": status}

    def _token_status(self, token: str) -> Json:
        user = self._tokens.get(token)
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": _user_info(user)}


def _user_info(user: User) -> Json:
    info: Json = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    return info


def _subject(review: Json) -> User:
    name, groups = trees.text(review, "spec.user"), trees.items(review, "spec.groups")
    if not name and not groups:
        raise BadRequest("spec.user: at least one of user or group must be specified")
    return User(name, tuple(groups), trees.text(review, "spec.uid"))


def _access_status(review: Json, user: User) -> Json:
    wanted = trees.members(review, "spec.resourceAttributes")
    path = trees.members(review, "spec.nonResourceAttributes")
    if bool(wanted) == bool(path):
        raise BadRequest(
            "spec: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    if path:
        access = Access(verb=trees.text(path, "verb"), path=trees.text(path, "path"))
    else:
        access = Access(
            verb=trees.text(wanted, "verb"),
            group=trees.text(wanted, "group"),
            resource=trees.text(wanted, "resource"),
            subresource=trees.text(wanted, "subresource"),
            namespace=trees.text(wanted, "namespace"),
            name=trees.text(wanted, "name"),
        )
    why = authz.reason(user, access)
    return {"allowed": True, "reason": why} if why else {"allowed": False}
