"""Every error that crosses a process boundary, and how each is spelled on each wire.

ApiError
├── BadRequest             malformed: not even an object
├── Invalid                well-formed but breaks a rule; carries field causes
├── Unauthorized, Forbidden
├── NotFound
├── AlreadyExists          same name
├── Conflict               stale resourceVersion, or the field has another manager
├── Gone                   watch or continue token older than the compaction
├── MethodNotAllowed, NotAcceptable, UnsupportedMediaType, RequestEntityTooLarge
├── TooManyRequests        back off; `retry_after_s` says how long
└── Unavailable, Timeout, Internal

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .causes import Cause
from .resource import Json, Resource

_MESSAGE_UNKNOWN = "unknown"


class ApiError(Exception):
    """An answer other than success: what is wrong, and machine-readable details."""

    reason: ClassVar[str] = "InternalError"
    http_code: ClassVar[int] = 500
    grpc_code: ClassVar[str] = "INTERNAL"
    """Name of the gRPC status code; a string, so that cores need not import grpc."""

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: Json = dict(details or {})

    def __str__(self) -> str:
        return self.message

    def to_status(self) -> Json:
        """Return the meta/v1 Status that says this."""
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.http_code,
        }
        if self.details:
            status["details"] = self.details
        return status


class BadRequest(ApiError):
    """The request is malformed. The caller must fix the request."""

    reason = "BadRequest"
    http_code = 400
    grpc_code = "INVALID_ARGUMENT"


class Invalid(ApiError):
    """The object is well-formed but breaks rules; `causes` says which fields."""

    reason = "Invalid"
    http_code = 422
    grpc_code = "INVALID_ARGUMENT"

    def __init__(
        self,
        message: str,
        causes: Sequence[Cause] = (),
        *,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.causes = tuple(causes)
        if self.causes:
            self.details["causes"] = [
                {"reason": cause.reason, "message": cause.message, "field": cause.field}
                for cause in self.causes
            ]


class Unauthorized(ApiError):
    """Nobody we know. The caller must log in."""

    reason = "Unauthorized"
    http_code = 401
    grpc_code = "UNAUTHENTICATED"


class Forbidden(ApiError):
    """Known, but without the right to do this."""

    reason = "Forbidden"
    http_code = 403
    grpc_code = "PERMISSION_DENIED"


class NotFound(ApiError):
    """No such object, resource or path."""

    reason = "NotFound"
    http_code = 404
    grpc_code = "NOT_FOUND"


class MethodNotAllowed(ApiError):
    """The resource exists and does not support the verb."""

    reason = "MethodNotAllowed"
    http_code = 405
    grpc_code = "UNIMPLEMENTED"


class NotAcceptable(ApiError):
    """None of the media types that the caller accepts can be produced."""

    reason = "NotAcceptable"
    http_code = 406
    grpc_code = "INVALID_ARGUMENT"


class AlreadyExists(ApiError):
    """An object of that name exists."""

    reason = "AlreadyExists"
    http_code = 409
    grpc_code = "ALREADY_EXISTS"


class Conflict(ApiError):
    """A precondition failed: read again, then retry."""

    reason = "Conflict"
    http_code = 409
    grpc_code = "ABORTED"


class Gone(ApiError):
    """The revision asked for has been compacted: list again."""

    reason = "Expired"
    http_code = 410
    grpc_code = "OUT_OF_RANGE"


class RequestEntityTooLarge(ApiError):
    """The body is bigger than we read."""

    reason = "RequestEntityTooLarge"
    http_code = 413
    grpc_code = "RESOURCE_EXHAUSTED"


class UnsupportedMediaType(ApiError):
    """The body is in a media type that we do not read."""

    reason = "UnsupportedMediaType"
    http_code = 415
    grpc_code = "INVALID_ARGUMENT"


class TooManyRequests(ApiError):
    """Back off for `retry_after_s` seconds, then try again."""

    reason = "TooManyRequests"
    http_code = 429
    grpc_code = "RESOURCE_EXHAUSTED"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: int = 1,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.retry_after_s = retry_after_s
        if retry_after_s:
            self.details["retryAfterSeconds"] = retry_after_s


class Internal(ApiError):
    """Our fault."""


class Unavailable(ApiError):
    """Not now; retry with back-off."""

    reason = "ServiceUnavailable"
    http_code = 503
    grpc_code = "UNAVAILABLE"


class Timeout(ApiError):
    """The deadline passed; whether the work was done is unknown."""

    reason = "Timeout"
    http_code = 504
    grpc_code = "DEADLINE_EXCEEDED"


_CLASSES: tuple[type[ApiError], ...] = (
    BadRequest,
    Invalid,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Gone,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    Internal,
    Unavailable,
    Timeout,
)
_BY_REASON = {cls.reason: cls for cls in _CLASSES} | {"Gone": Gone}
_BY_CODE = {cls.http_code: cls for cls in reversed(_CLASSES)} | {409: Conflict}


def from_status(status: Mapping[str, Any]) -> ApiError:
    """Return the error that a meta/v1 Status describes: by reason, else by HTTP code."""
    code = int(status.get("code") or 500)
    cls = _BY_REASON.get(status.get("reason") or "") or _BY_CODE.get(code, Internal)
    message = status.get("message") or _MESSAGE_UNKNOWN
    details = dict(status.get("details") or {})
    if issubclass(cls, Invalid):
        causes = [
            Cause(c.get("field", ""), c.get("reason", ""), c.get("message", ""))
            for c in details.pop("causes", None) or ()
        ]
        return cls(message, causes, details=details)
    if issubclass(cls, TooManyRequests):
        wait_s = int(details.pop("retryAfterSeconds", 0))
        return cls(message, retry_after_s=wait_s, details=details)
    return cls(message, details=details)


def qualified(group: str, name: str) -> str:
    """Return how messages name a resource or a kind: `pods`, `deployments.apps`."""
    return f"{name}.{group}" if group else name


def not_found(resource: Resource, name: str) -> NotFound:
    """Return `pods "x" not found`."""
    return NotFound(
        f'{qualified(resource.group, resource.plural)} "{name}" not found',
        details=_details(resource, name),
    )


def already_exists(resource: Resource, name: str) -> AlreadyExists:
    """Return `pods "x" already exists`."""
    return AlreadyExists(
        f'{qualified(resource.group, resource.plural)} "{name}" already exists',
        details=_details(resource, name),
    )


def conflict(resource: Resource, name: str, why: str) -> Conflict:
    """Return `Operation cannot be fulfilled on pods "x": <why>`."""
    return Conflict(
        "Operation cannot be fulfilled on "
        f'{qualified(resource.group, resource.plural)} "{name}": {why}',
        details=_details(resource, name),
    )


def forbidden(resource: Resource, name: str, why: str) -> Forbidden:
    """Return `pods "x" is forbidden: <why>`; without a name, of the collection."""
    kind = qualified(resource.group, resource.plural)
    subject = f'{kind} "{name}"' if name else kind
    return Forbidden(f"{subject} is forbidden: {why}", details=_details(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> Invalid:
    """Return `Deployment.apps "web" is invalid: …` with its causes; there must be one at least."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {"name": name, "group": resource.group, "kind": resource.kind}
    return Invalid(
        f'{qualified(resource.group, resource.kind)} "{name}" is invalid: {text}',
        causes,
        details={key: value for key, value in details.items() if value},
    )


def _details(resource: Resource, name: str) -> Json:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}
