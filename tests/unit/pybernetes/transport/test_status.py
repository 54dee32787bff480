import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.transport import status


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_details_survive_the_wire(details: str) -> None:
    encoded = status.encode_details(details)
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert status.decode_details(encoded) == details


def test_details_that_are_no_encoding_are_kept() -> None:
    assert status.decode_details(b"100% sure") == "100% sure"
    assert status.decode_details(b"%zz\xff") == "%zz\ufffd"


@given(st.floats(0, 1e9))
def test_a_timeout_survives_the_wire_and_is_never_shorter(seconds: float) -> None:
    encoded = status.encode_timeout(seconds)
    assert len(encoded) <= 9
    decoded = status.decode_timeout(encoded)
    assert decoded is not None
    assert seconds - 1e-9 <= decoded * (1 + 1e-9)
    assert decoded <= seconds * 1.01 + 3600 * (seconds > 99_999_999) + 1e-9


@pytest.mark.parametrize("text", [b"", b"5", b"S", b"123456789S", b"-1S", b"1s", b"1.5S", b"1S "])
def test_what_is_no_timeout_is_none(text: bytes) -> None:
    assert status.decode_timeout(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"0", grpc.StatusCode.OK),
        (b"14", grpc.StatusCode.UNAVAILABLE),
        (b"99", grpc.StatusCode.UNKNOWN),
        (b"x", grpc.StatusCode.UNKNOWN),
        (b"", grpc.StatusCode.UNKNOWN),
    ],
)
def test_a_status_is_a_known_code_or_unknown(text: bytes, code: grpc.StatusCode) -> None:
    assert status.code_of_text(text) is code


def test_http_and_resets_have_statuses() -> None:
    assert status.code_of_http(503) is grpc.StatusCode.UNAVAILABLE
    assert status.code_of_http(401) is grpc.StatusCode.UNAUTHENTICATED
    assert status.code_of_http(418) is grpc.StatusCode.UNKNOWN
    assert status.code_of_reset(7) is grpc.StatusCode.UNAVAILABLE
    assert status.code_of_reset(8) is grpc.StatusCode.CANCELLED
    assert status.code_of_reset(11) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert status.code_of_reset(2) is grpc.StatusCode.INTERNAL
