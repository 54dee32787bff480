import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.transport.metadata import from_headers, to_headers

KEYS = st.from_regex(r"[a-z][0-9a-z_.]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
PAIRS = st.lists(
    st.one_of(
        st.tuples(KEYS.filter(lambda key: key != "te" and key != "host"), TEXTS),
        st.tuples(KEYS.map(lambda key: key + "-bin"), st.binary()),
    )
)


@given(PAIRS)
def test_metadata_survives_the_wire_in_order(pairs: list[tuple[str, str | bytes]]) -> None:
    assert from_headers(to_headers(pairs)) == tuple(pairs)


def test_headers_of_the_protocol_are_no_metadata() -> None:
    headers = [
        (b":path", b"/a"),
        (b"te", b"trailers"),
        (b"grpc-timeout", b"1S"),
        (b"user-agent", b"me"),
        (b"a", b"1"),
        (b"a", b"2"),
    ]
    assert from_headers(headers) == (("user-agent", "me"), ("a", "1"), ("a", "2"))


def test_binary_values_come_with_padding_without_and_several_in_one() -> None:
    headers = [(b"a-bin", b"/w=="), (b"a-bin", b"/w"), (b"a-bin", b"/w,AA=="), (b"a-bin", b"!")]
    assert [value for _, value in from_headers(headers)] == [b"\xff", b"\xff", b"\xff", b"\0", b""]


@pytest.mark.parametrize(
    ("key", "value"),
    [("Upper", "x"), ("", "x"), ("a b", "x"), ("a", "x\ny"), ("a", "é"), (":path", "/")],
)
def test_what_headers_cannot_have_is_refused(key: str, value: str) -> None:
    with pytest.raises(ValueError, match="metadata was invalid"):
        to_headers([(key, value)])
