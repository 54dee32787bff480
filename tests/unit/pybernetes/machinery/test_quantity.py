from decimal import Decimal

import pytest

from pybernetes.machinery import intstr, quantity


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("0.5Gi", "512Mi"),
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("512Ki", "512Ki"),
        ("1023", "1023"),
        ("1000000", "1M"),
        ("1e3", "1e3"),
        ("1200e0", "1200"),
        ("12e5", "1200e3"),
        ("0", "0"),
        ("0Mi", "0"),
        ("-1500m", "-1500m"),
        (".5", "500m"),
        ("0.0000000001", "1n"),
        ("0.1Ki", "102400m"),
        ("100", "100"),
        ("10E", "9223372036854775807"),
        (2, "2"),
        (0.25, "250m"),
    ],
)
def test_quantities_are_stored_in_their_canonical_form(written: str, canonical: str) -> None:
    assert quantity.canonical(written) == canonical


@pytest.mark.parametrize("written", ["", "Gi", "1.5.2", "1GiB", "1 Gi", "0x10", "1mi", "--1"])
def test_malformed_quantities_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(written)


def test_cpu_and_memory_round_up() -> None:
    assert quantity.milli("0.0001") == 1
    assert quantity.milli("2") == 2000
    assert quantity.value("1500m") == 2
    assert quantity.value("2Gi") == 2 * 2**30
    assert quantity.parse("100n") == Decimal("1e-7")
    assert quantity.rounded_up_to_milli("100u") == "1m"
    assert quantity.rounded_up_to_milli("2Gi") == "2Gi"


def test_percentages_are_taken_of_the_total() -> None:
    assert intstr.scaled("25%", 10, round_up=True) == 3
    assert intstr.scaled("25%", 10, round_up=False) == 2
    assert intstr.scaled(4, 10, round_up=True) == 4
    with pytest.raises(ValueError, match="expected <number>%"):
        intstr.scaled("25", 10, round_up=True)
