"""What members tell each other, and how it is framed: length, then MessagePack."""

from struct import Struct

import msgspec

from ..core.members import Member

PROTOCOL = 2
"""Raise it with every change below; members of another protocol are turned away."""

FRAME_BYTES_MAX = 64 << 20
LENGTH = Struct("<I")


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of every message: an array, its tag first."""


class Hello(_Message, frozen=True, tag=1):
    """The first message each way."""

    protocol: int
    cluster: int
    id: str
    name: str


class RequestVote(_Message, frozen=True, tag=2):
    """A candidate asks; when `is_trial`, only whether it would win, and no term moves."""

    term: int
    last_index: int
    last_term: int
    is_trial: bool
    is_told: bool = False
    """The leader itself wants it: that it is heard is no reason to refuse."""


class Vote(_Message, frozen=True, tag=3):
    """Yes."""

    term: int
    is_trial: bool


class Append(_Message, frozen=True, tag=4):
    """The leader's log goes on after (previous_index, previous_term); empty: a heartbeat."""

    term: int
    previous_index: int
    previous_term: int
    entries: list[tuple[bytes, int, int]]
    commit_index: int
    read_round: int


class Ack(_Message, frozen=True, tag=5):
    """Everything before `next_index` is durable here; or, refused, where to go on instead."""

    term: int
    next_index: int
    is_success: bool
    read_round: int


class Heard(_Message, frozen=True, tag=6):
    """You are still my leader, as of this round; durability follows."""

    term: int
    read_round: int


class SnapshotChunk(_Message, frozen=True, tag=7):
    """A piece of the leader's snapshot."""

    term: int
    index: int
    offset: int
    total_bytes: int
    data: bytes


class SnapshotWanted(_Message, frozen=True, tag=8):
    """The next piece, please."""

    term: int
    index: int
    offset: int


class Propose(_Message, frozen=True, tag=9):
    """Replicate this, if you are the leader in this term."""

    term: int
    sequence: int
    command: bytes
    is_change: bool = False
    """It changes the members."""


class Refused(_Message, frozen=True, tag=10):
    """A proposal was not taken, and never will be."""

    sequence: int
    is_overload: bool
    is_not_ready: bool = False
    """A learner cannot be promoted yet."""


class AskIndex(_Message, frozen=True, tag=11):
    """Say how far I must be, to read what is committed now."""

    sequence: int


class Index(_Message, frozen=True, tag=12):
    """So far."""

    sequence: int
    index: int


class StandNow(_Message, frozen=True, tag=13):
    """Become leader in my place."""

    term: int


class AskMembers(_Message, frozen=True, tag=14):
    """Who are you all? From who wants to join, or to whoever calls and is not known."""

    protocol: int


class MembersAre(_Message, frozen=True, tag=15):
    """The answer."""

    cluster: int
    members: tuple[Member, ...]
    removed: tuple[int, ...] = ()


class Removed(_Message, frozen=True, tag=16):
    """The answer to the hello of a member that is none any more."""


Message = (
    Hello
    | RequestVote
    | Vote
    | Append
    | Ack
    | Heard
    | SnapshotChunk
    | SnapshotWanted
    | Propose
    | Refused
    | AskIndex
    | Index
    | StandNow
    | AskMembers
    | MembersAre
    | Removed
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class MalformedFrame(Exception):
    """A peer sent what no member sends."""


def encode(message: Message) -> bytes:
    """Return a whole frame."""
    payload = _encoder.encode(message)
    return LENGTH.pack(len(payload)) + payload


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete now; MalformedFrame for what is none."""
        data = self._rest + data if self._rest else data
        view = memoryview(data)
        at, found = 0, []
        while len(data) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(data, at)
            if length > FRAME_BYTES_MAX:
                raise MalformedFrame(f"a frame of {length} bytes")
            end = at + LENGTH.size + length
            if end > len(data):
                break
            try:
                found.append(_decoder.decode(view[at + LENGTH.size : end]))
            except msgspec.DecodeError as error:
                raise MalformedFrame(str(error)) from error
            at = end
        self._rest = data[at:]
        return found
