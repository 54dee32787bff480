"""What each refusal is on the wire: etcd's codes, with etcd's texts."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import grpc

from ..core import errors

Context = grpc.aio.ServicerContext[Any, Any]
S = TypeVar("S")
Q = TypeVar("Q")
A = TypeVar("A")

CODES: dict[type[errors.StoreError], grpc.StatusCode] = {
    errors.EmptyKey: grpc.StatusCode.INVALID_ARGUMENT,
    errors.KeyNotFound: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ValueProvided: grpc.StatusCode.INVALID_ARGUMENT,
    errors.LeaseProvided: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TooManyOperations: grpc.StatusCode.INVALID_ARGUMENT,
    errors.DuplicateKey: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidSortOption: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidCompare: grpc.StatusCode.INVALID_ARGUMENT,
    errors.RequestTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Compacted: grpc.StatusCode.OUT_OF_RANGE,
    errors.FutureRevision: grpc.StatusCode.OUT_OF_RANGE,
    errors.LeaseNotFound: grpc.StatusCode.NOT_FOUND,
    errors.LeaseExists: grpc.StatusCode.FAILED_PRECONDITION,
    errors.LeaseTtlTooLarge: grpc.StatusCode.OUT_OF_RANGE,
    errors.TooManyRequests: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.NoSpace: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CorruptCluster: grpc.StatusCode.DATA_LOSS,
    errors.SessionExpired: grpc.StatusCode.UNKNOWN,
    errors.NotElected: grpc.StatusCode.UNKNOWN,
    errors.NobodyElected: grpc.StatusCode.UNKNOWN,
    errors.MissingLeaderKey: grpc.StatusCode.UNKNOWN,
    errors.RootUserNotExist: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RootRoleNotExist: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UserAlreadyExists: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UserNotFound: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RoleAlreadyExists: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RoleNotFound: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RoleNotGranted: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PermissionNotGranted: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AuthNotEnabled: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UserEmpty: grpc.StatusCode.INVALID_ARGUMENT,
    errors.RoleEmpty: grpc.StatusCode.INVALID_ARGUMENT,
    errors.AuthFailed: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PermissionNotGiven: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidAuthMgmt: grpc.StatusCode.INVALID_ARGUMENT,
    errors.AuthOldRevision: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.InvalidAuthToken: grpc.StatusCode.UNAUTHENTICATED,
    errors.NoPasswordUser: grpc.StatusCode.UNKNOWN,
    errors.MemberNotFound: grpc.StatusCode.NOT_FOUND,
    errors.MemberExists: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PeerUrlExists: grpc.StatusCode.FAILED_PRECONDITION,
    errors.InvalidMemberUrls: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotEnoughStarted: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UnhealthyCluster: grpc.StatusCode.UNAVAILABLE,
    errors.TooManyLearners: grpc.StatusCode.FAILED_PRECONDITION,
    errors.MemberNotLearner: grpc.StatusCode.FAILED_PRECONDITION,
    errors.LearnerNotReady: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotForLearners: grpc.StatusCode.UNAVAILABLE,
    errors.NotLeader: grpc.StatusCode.FAILED_PRECONDITION,
    errors.BadTransferee: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TransferTimedOut: grpc.StatusCode.UNAVAILABLE,
    errors.NoLeader: grpc.StatusCode.UNAVAILABLE,
    errors.TimedOut: grpc.StatusCode.UNAVAILABLE,
}


async def abort(context: Context, error: errors.StoreError) -> None:
    """End a call with a refusal."""
    await context.abort(CODES[type(error)], error.text)


def refusing(
    method: Callable[[S, Q, Context], Awaitable[A]],
) -> Callable[[S, Q, Context], Awaitable[A]]:
    """Let a unary method raise StoreErrors."""

    @wraps(method)
    async def guarded(self: S, request: Q, context: Context) -> A:
        try:
            return await method(self, request, context)
        except errors.StoreError as error:
            await abort(context, error)
            raise  # not reached: abort raises

    return guarded


async def unimplemented(context: Context) -> NoReturn:
    """End a call that etcd has and we do not."""
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not implemented by this store")
