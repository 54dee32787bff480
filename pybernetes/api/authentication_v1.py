# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of authentication.k8s.io/v1."""

from datetime import datetime
from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .meta_v1 import ObjectMeta


class BoundObjectReference(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """BoundObjectReference."""

    kind: str = ""
    api_version: str = ""
    name: str = ""
    uid: str = ""


class UserInfo(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """UserInfo."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class SelfSubjectReviewStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """SelfSubjectReviewStatus."""

    user_info: UserInfo = UserInfo()


class SelfSubjectReview(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """SelfSubjectReview."""

    resource: ClassVar[Resource] = Resource(
        "authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", False
    )
    api_version: str = field(default_factory=lambda: "authentication.k8s.io/v1")
    kind: str = field(default_factory=lambda: "SelfSubjectReview")
    metadata: ObjectMeta = ObjectMeta()
    status: SelfSubjectReviewStatus = SelfSubjectReviewStatus()


class TokenRequestSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TokenRequestSpec."""

    audiences: tuple[str, ...] = ()
    expiration_seconds: int | None = None
    bound_object_ref: BoundObjectReference | None = None


class TokenRequestStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TokenRequestStatus."""

    token: str = ""
    expiration_timestamp: datetime | None = None


class TokenRequest(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TokenRequest."""

    api_version: str = field(default_factory=lambda: "authentication.k8s.io/v1")
    kind: str = field(default_factory=lambda: "TokenRequest")
    metadata: ObjectMeta = ObjectMeta()
    spec: TokenRequestSpec = TokenRequestSpec()
    status: TokenRequestStatus = TokenRequestStatus()


class TokenReviewSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TokenReviewSpec."""

    token: str = ""
    audiences: tuple[str, ...] = ()


class TokenReviewStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TokenReviewStatus."""

    authenticated: bool = False
    user: UserInfo = UserInfo()
    audiences: tuple[str, ...] = ()
    error: str = ""


class TokenReview(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TokenReview."""

    resource: ClassVar[Resource] = Resource(
        "authentication.k8s.io", "v1", "TokenReview", "tokenreviews", False
    )
    api_version: str = field(default_factory=lambda: "authentication.k8s.io/v1")
    kind: str = field(default_factory=lambda: "TokenReview")
    metadata: ObjectMeta = ObjectMeta()
    spec: TokenReviewSpec = TokenReviewSpec()
    status: TokenReviewStatus = TokenReviewStatus()
