from hypothesis import given
from hypothesis import strategies as st

from pybernetes.rpc.etcd import kv_pb2
from pybernetes.rpc.etcd import rpc_pb2 as pb
from services.store.core.key_value import key_value, varint

POSITIVE = st.integers(min_value=1, max_value=2**63 - 1)
INT64 = st.integers(min_value=0, max_value=2**63 - 1)
LEASE = st.integers(min_value=-(2**63), max_value=2**63 - 1)
VALUE = st.binary(max_size=300) | st.integers(16_000, 17_000).map(bytes)


@given(st.binary(min_size=1, max_size=200), VALUE, INT64, INT64, INT64, LEASE)
def test_the_wire_is_what_protobuf_would_write(
    key: bytes, value: bytes, create: int, mod: int, version: int, lease: int
) -> None:
    record = key_value(key, value, create, mod, version, lease)
    message = kv_pb2.KeyValue(
        key=key,
        value=value,
        create_revision=create,
        mod_revision=mod,
        version=version,
        lease=lease,
    )
    assert record.wire == pb.RangeResponse(kvs=[message]).SerializeToString()
    assert kv_pb2.Event(prev_kv=message).SerializeToString() == record.as_field_3()
    assert record.value == value
    assert record.without_value() == key_value(key, b"", create, mod, version, lease)


@given(LEASE)
def test_a_number_is_written_as_protobuf_does(number: int) -> None:
    assert kv_pb2.KeyValue(lease=number).SerializeToString() == (
        b"\x30" + varint(number) if number else b""
    )
