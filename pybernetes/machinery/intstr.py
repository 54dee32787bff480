"""IntOrString: a count, or a percentage of a total.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go.
"""


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """Return `value` as a count: itself, or its percentage of `total`.

    Raises ValueError if it is a string that is not `<number>%`.
    """
    if isinstance(value, int):
        return value
    product = percent(value) * total
    return -(-product // 100) if round_up else product // 100


def percent(value: str) -> int:
    """Return the number in `25%`. Raises ValueError for anything else."""
    digits = value.removesuffix("%")
    if digits == value or not digits.removeprefix("-").isdecimal():
        raise ValueError(f"invalid value for IntOrString: expected <number>%, got {value!r}")
    return int(digits)
