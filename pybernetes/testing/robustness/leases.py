"""What a lease promises: its keys stay until its time is over, counted from its last renewal."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

from pybernetes.rpc.etcd import rpc_pb2 as pb

from .history import Call, Outcome
from .revisions import Ordered
from .watches import Record


@dataclass(slots=True)
class _Life:
    """What clients know of a lease."""

    confirmed: list[Call] = field(default_factory=list)
    """Its grant and renewals."""

    revoked_s: float = inf
    """When somebody first asked for its end."""

    ended_s: float = inf
    """When somebody was first told that it has ended on request."""


def check_leases(
    calls: Iterable[Call], ordered: Ordered, seen: Record, *, rate_max: float = 1.0
) -> Iterator[str]:
    """Yield leases that ended early. `rate_max`: how much faster than ours a clock may go."""
    lives = _lives(calls)
    for revision, ids in ordered.lease_ends.items():
        at_s = seen.first_seen_s[revision]
        for id in ids:
            life = lives.get(id)
            if life is None:
                yield f"revision {revision} ended lease {id}, which nobody was granted"
                continue
            if life.revoked_s <= at_s:
                continue
            for call in life.confirmed:
                due_s = call.invoked_s + call.answer.TTL / rate_max
                if at_s < due_s:
                    yield (
                        f"lease {id} ended early, at revision {revision}, seen {at_s:.4f};"
                        f" not before {due_s:.4f}: {call}"
                    )
    for revision, call in ordered.writers.items():
        for lease in {event.kv.lease for event in ordered.world.events[revision]} - {0}:
            life = lives.get(lease)
            if life is not None and life.ended_s < call.invoked_s:
                yield f"a key was hung on lease {lease}, which had ended: {call}"


def _lives(calls: Iterable[Call]) -> dict[int, _Life]:
    lives: dict[int, _Life] = {}
    for call in calls:
        request, is_ok = call.request, call.outcome is Outcome.OK
        if isinstance(request, pb.LeaseGrantRequest):
            if is_ok:
                lives.setdefault(call.answer.ID, _Life()).confirmed.append(call)
        elif isinstance(request, pb.LeaseKeepAliveRequest):
            if is_ok and call.answer.TTL > 0:
                lives.setdefault(request.ID, _Life()).confirmed.append(call)
        elif isinstance(request, pb.LeaseRevokeRequest):
            life = lives.setdefault(request.ID, _Life())
            life.revoked_s = min(life.revoked_s, call.invoked_s)
            if is_ok:
                life.ended_s = min(life.ended_s, call.returned_s)
    return lives
