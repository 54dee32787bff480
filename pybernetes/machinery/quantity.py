"""Quantities: `1500m`, `2Gi`, `1e3`.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go.
"""

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import lru_cache

_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIX_OF_EXPONENT = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_SYNTAX = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3}|)"
)
_EXACT = Context(prec=400)  # the longest text we accept times 2^60 stays exact
_NANO = Decimal("1e-9")
_LIMIT = Decimal(2**63 - 1)
_TEXT_LENGTH_MAX = 100
_CACHE_ENTRIES = 4096  # a cluster uses few distinct quantities

_FORM_BINARY, _FORM_DECIMAL, _FORM_EXPONENT = range(3)


def parse(value: str | int | float) -> Decimal:
    """Return the exact amount, rounded away from zero at nano. Raises ValueError if malformed."""
    return _parse(str(value))[0]


def canonical(value: str | int | float) -> str:
    """Return the spelling the API server stores: largest suffix without a fraction."""
    return _canonical(str(value))


def milli(value: str | int | float) -> int:
    """Return thousandths, rounded up: CPU."""
    return int((parse(value) * 1000).to_integral_value(ROUND_CEILING))


def value(quantity: str | int | float) -> int:
    """Return whole units, rounded up: bytes."""
    return int(parse(quantity).to_integral_value(ROUND_CEILING))


def rounded_up_to_milli(quantity: str) -> str:
    """Return the canonical spelling, finer parts than thousandths rounded up."""
    amount, form = _parse(quantity)
    thousandths = amount * 1000
    if thousandths == thousandths.to_integral_value():
        return canonical(quantity)
    return _spell(thousandths.to_integral_value(ROUND_CEILING) / 1000, form)


@lru_cache(maxsize=_CACHE_ENTRIES)
def _parse(text: str) -> tuple[Decimal, int]:
    match = _SYNTAX.fullmatch(text) if len(text) <= _TEXT_LENGTH_MAX else None
    if match is None:
        raise ValueError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, suffix = Decimal(match["number"]), match["suffix"]
    if suffix in _BINARY:
        amount, form = _EXACT.multiply(number, Decimal(2 ** _BINARY[suffix])), _FORM_BINARY
    elif suffix in _DECIMAL:
        amount, form = number.scaleb(_DECIMAL[suffix], _EXACT), _FORM_DECIMAL
    else:
        amount, form = number.scaleb(int(suffix[1:]), _EXACT), _FORM_EXPONENT
    if abs(amount) > _LIMIT:
        amount = _LIMIT.copy_sign(amount)
    away_from_zero = ROUND_FLOOR if amount < 0 else ROUND_CEILING
    return amount.quantize(_NANO, rounding=away_from_zero, context=_EXACT), form


@lru_cache(maxsize=_CACHE_ENTRIES)
def _canonical(text: str) -> str:
    return _spell(*_parse(text))


def _spell(amount: Decimal, form: int) -> str:
    if not amount:
        return "0"
    if form == _FORM_BINARY and abs(amount) >= 1024 and amount == amount.to_integral_value():
        return _binary(int(amount))
    sign, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    mantissa = int("".join(map(str, digits)))
    while mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    shift = exponent % 3
    mantissa, exponent = mantissa * 10**shift, exponent - shift
    while exponent > 18:
        mantissa, exponent = mantissa * 1000, exponent - 3
    if form == _FORM_EXPONENT:
        suffix = f"e{exponent}" if exponent else ""
    else:
        suffix = _SUFFIX_OF_EXPONENT[exponent]
    return f"{'-' if sign else ''}{mantissa}{suffix}"


def _binary(amount: int) -> str:
    suffix = ""
    for candidate, bits in _BINARY.items():
        if amount % (1 << bits):
            break
        suffix = candidate
    return f"{amount >> _BINARY[suffix] if suffix else amount}{suffix}"
