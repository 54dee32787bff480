"""Why the store refuses a request. `servicers/errors.py` gives each its code on the wire.

The texts are etcd's, to the letter: clients compare them.
"""


class StoreError(Exception):
    """A refusal. The request was well understood, and changed nothing."""

    text = ""

    def __init__(self) -> None:
        super().__init__(self.text)


class EmptyKey(StoreError):
    """A key must have at least one byte."""

    text = "etcdserver: key is not provided"


class KeyNotFound(StoreError):
    """What should be kept of a key cannot be: it does not exist."""

    text = "etcdserver: key not found"


class ValueProvided(StoreError):
    """A put gives a value and asks to ignore it."""

    text = "etcdserver: value is provided"


class LeaseProvided(StoreError):
    """A put gives a lease and asks to ignore it."""

    text = "etcdserver: lease is provided"


class TooManyOperations(StoreError):
    """A transaction is longer than we take."""

    text = "etcdserver: too many operations in txn request"


class DuplicateKey(StoreError):
    """A transaction writes one key twice."""

    text = "etcdserver: duplicate key given in txn request"


class InvalidSortOption(StoreError):
    """No such order, or no such field to sort by."""

    text = "etcdserver: invalid sort option"


class InvalidCompare(StoreError):
    """No such comparison, or no such field to compare; etcd answers as it happens to."""

    text = "etcdserver: invalid comparison in txn request"


class Compacted(StoreError):
    """The history asked for is forgotten."""

    text = "etcdserver: mvcc: required revision has been compacted"


class FutureRevision(StoreError):
    """The revision asked for has not happened yet."""

    text = "etcdserver: mvcc: required revision is a future revision"


class LeaseNotFound(StoreError):
    """No such lease; perhaps it has expired."""

    text = "etcdserver: requested lease not found"


class LeaseExists(StoreError):
    """A lease with this ID is there already."""

    text = "etcdserver: lease already exists"


class LeaseTtlTooLarge(StoreError):
    """Nobody waits for that long."""

    text = "etcdserver: too large lease TTL"


class RequestTooLarge(StoreError):
    """The request has more bytes than we replicate at once."""

    text = "etcdserver: request is too large"


class TooManyRequests(StoreError):
    """More is waiting to be replicated than we queue."""

    text = "etcdserver: too many requests"


class NoSpace(StoreError):
    """The quota is used up: only what frees space is done, until the alarm is disarmed."""

    text = "etcdserver: mvcc: database space exceeded"


class CorruptCluster(StoreError):
    """Members disagree about what they hold: somebody must look before anything is written."""

    text = "etcdserver: corrupt cluster"


class SessionExpired(StoreError):
    """The lease ended while its owner waited for a lock."""

    text = "mutex: session is expired"


class NotElected(StoreError):
    """Whoever proclaims does not lead."""

    text = "election: not leader"


class NobodyElected(StoreError):
    """An election has no leader now."""

    text = "election: no leader"


class MissingLeaderKey(StoreError):
    """The request does not say who leads."""

    text = '"leader" field must be provided'


class RootUserNotExist(StoreError):
    """Nobody could manage the store once it asks who calls."""

    text = "etcdserver: root user does not exist"


class RootRoleNotExist(StoreError):
    """The user root could manage nothing."""

    text = "etcdserver: root user does not have root role"


class UserAlreadyExists(StoreError):
    """There is a user of this name."""

    text = "etcdserver: user name already exists"


class UserEmpty(StoreError):
    """The call does not say who calls, or of whom it speaks."""

    text = "etcdserver: user name is empty"


class UserNotFound(StoreError):
    """No such user."""

    text = "etcdserver: user name not found"


class RoleAlreadyExists(StoreError):
    """There is a role of this name."""

    text = "etcdserver: role name already exists"


class RoleNotFound(StoreError):
    """No such role."""

    text = "etcdserver: role name not found"


class RoleEmpty(StoreError):
    """A role must have a name."""

    text = "etcdserver: role name is empty"


class AuthFailed(StoreError):
    """Wrong name or password."""

    text = "etcdserver: authentication failed, invalid user ID or password"


class NoPasswordUser(StoreError):
    """The user is known by a certificate only."""

    text = "auth: authentication failed, password was given for no password user"


class PermissionNotGiven(StoreError):
    """The request does not say which permission."""

    text = "etcdserver: permission not given"


class PermissionDenied(StoreError):
    """Whoever calls may not do this."""

    text = "etcdserver: permission denied"


class RoleNotGranted(StoreError):
    """The user does not have this role."""

    text = "etcdserver: role is not granted to the user"


class PermissionNotGranted(StoreError):
    """The role does not have this permission."""

    text = "etcdserver: permission is not granted to the role"


class AuthNotEnabled(StoreError):
    """There is nothing to prove: nobody asks who calls."""

    text = "etcdserver: authentication is not enabled"


class InvalidAuthToken(StoreError):
    """The token is unknown or too old: authenticate again."""

    text = "etcdserver: invalid auth token"


class InvalidAuthMgmt(StoreError):
    """Root must be able to manage the store; a permission must be about some keys."""

    text = "etcdserver: invalid auth management"


class AuthOldRevision(StoreError):
    """Users or roles changed since the call was looked at."""

    text = "etcdserver: revision of auth store is old"


class NoLeader(StoreError):
    """No majority of the members agrees on a leader; nothing was done."""

    text = "etcdserver: no leader"


class TimedOut(StoreError):
    """No answer in time: the write may have happened, or may yet."""

    text = "etcdserver: request timed out"


class MemberNotFound(StoreError):
    """No such member."""

    text = "etcdserver: member not found"


class MemberExists(StoreError):
    """There is, or was, a member of this ID."""

    text = "etcdserver: member ID already exist"


class PeerUrlExists(StoreError):
    """Another member is reached there."""

    text = "etcdserver: Peer URLs already exists"


class InvalidMemberUrls(StoreError):
    """Where a member shall be reached is nowhere."""

    text = "etcdserver: given member URLs are invalid"


class NotEnoughStarted(StoreError):
    """After this change, those that have ever started would be no majority."""

    text = "etcdserver: re-configuration failed due to not enough started members"


class UnhealthyCluster(StoreError):
    """After this change, those that can be reached would be no majority."""

    text = "etcdserver: unhealthy cluster"


class TooManyLearners(StoreError):
    """Another learner would load the leader too much."""

    text = "etcdserver: too many learner members in cluster"


class MemberNotLearner(StoreError):
    """A member that counts already cannot be promoted."""

    text = "etcdserver: can only promote a learner member"


class LearnerNotReady(StoreError):
    """The learner lacks too much of what the leader has."""

    text = "etcdserver: can only promote a learner member which is in sync with leader"


class NotForLearners(StoreError):
    """A learner serves nothing but reads of what it has."""

    text = "etcdserver: rpc not supported for learner"


class NotLeader(StoreError):
    """Only the leader can do this."""

    text = "etcdserver: not leader"


class BadTransferee(StoreError):
    """Leadership cannot go to this member."""

    text = "etcdserver: bad leader transferee"


class TransferTimedOut(StoreError):
    """The other member did not become leader in time; it may yet."""

    text = "etcdserver: request timed out, leader transfer took too long"
