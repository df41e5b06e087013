"""Amounts: exact, to the micro-unit, and what cannot be meant is refused by name."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest

from budgets.core.money import (
    LIMIT,
    MAX_TOTAL,
    InvalidAmount,
    from_micros,
    parse_amount,
    plain,
    to_micros,
)


class NumpyLikeFloat(float):
    """numpy.float64 is a float whose repr is not a number."""

    def __repr__(self) -> str:
        return f"np.float64({float(self)})"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("007", "7"),
        ("12.50", "12.5"),
        ("-3.000001", "-3.000001"),
        ("999999999999.999999", "999999999999.999999"),
        ("-999999999999.999999", "-999999999999.999999"),
        (5, "5"),
        (-5, "-5"),
        (0.1, "0.1"),
        (1e-06, "0.000001"),
        (100.0, "100"),
        (Decimal("0.1"), "0.1"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.5000000000"), "1.5"),
        (Decimal("-0"), "0"),
    ],
)
def test_an_amount_is_taken_exactly(given: object, expected: str) -> None:
    amount = parse_amount(given)

    assert amount == Decimal(expected)
    assert from_micros(to_micros(amount)) == amount


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("NaN", "not a finite amount"),
        ("sNaN", "not a finite amount"),
        ("inf", "not a finite amount"),
        ("-Infinity", "not a finite amount"),
        (float("nan"), "not a finite amount"),
        (float("inf"), "not a finite amount"),
        (Decimal("NaN"), "not a finite amount"),
        (Decimal("sNaN"), "not a finite amount"),
        (Decimal("-Infinity"), "not a finite amount"),
        ("1e30", "exponent"),
        ("1e-400", "exponent"),
        ("1E2", "exponent"),
        (1e30, "digits before the point"),
        (Decimal("1e30"), "digits before the point"),
        (Decimal("1e1000000"), "digits before the point"),
        pytest.param(10**5000, "digits before the point", id="10**5000"),
        ("1000000000000", "digits before the point"),
        (10**12, "digits before the point"),
        (Decimal("1e-400"), "decimals"),
        (Decimal("1e-1000000"), "decimals"),
        (1e-07, "decimals"),
        ("0.1234567", "decimals"),
        ("1.0000000", "decimals"),
        (Decimal("0.1234567"), "decimals"),
        (True, "true or false"),
        (False, "true or false"),
        ("1_000", "has separators"),
        ("1,000", "has separators"),
        ("12,50", "write digits and a point"),
        ("１２", "write digits and a point"),  # noqa: RUF001  # full-width on purpose
        ("١٢", "write digits and a point"),
        (" 5 ", "write digits and a point"),
        ("5\n", "write digits and a point"),
        ("+5", "write digits and a point"),
        ("--5", "write digits and a point"),
        ("", "write digits and a point"),
        (".5", "write digits and a point"),
        (".123456", "write digits and a point"),
        ("5.", "write digits and a point"),
        ("5 USD", "write digits and a point"),
        ("0x10", "write digits and a point"),
        ("5\x00", "write digits and a point"),
        ("\ud800", "write digits and a point"),
        pytest.param("9" * 5000, "digits before the point", id="5000 nines"),
        (None, "is a NoneType"),
        (b"5", "is a bytes"),
        ([5], "is a list"),
        (Fraction(1, 2), "is a Fraction"),
        (5j, "is a complex"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(given: object, words: str) -> None:
    with pytest.raises(InvalidAmount, match=words):
        parse_amount(given)


def test_a_refusal_quotes_at_most_a_line_of_what_was_typed() -> None:
    with pytest.raises(InvalidAmount) as caught:
        parse_amount("x" * 100_000)

    assert str(caught.value).startswith(f"'{'x' * 40}' is not an amount")


def test_a_float_of_another_library_is_taken_by_its_value() -> None:
    assert parse_amount(NumpyLikeFloat(0.1)) == Decimal("0.1")


def test_a_thousand_times_a_tenth_is_a_hundred() -> None:
    assert sum([parse_amount(0.1)] * 1000) == 100
    assert sum([to_micros(parse_amount("0.1"))] * 1000) == to_micros(Decimal(100))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("999999999999.999999", 999_999_999_999_999_999),
        ("-999999999999.999999", -999_999_999_999_999_999),
        ("123456789.50", 123_456_789_500_000),
    ],
)
def test_a_foreign_decimal_context_changes_nothing(written: str, expected: int) -> None:
    clumsy = decimal.Context(prec=3, rounding=decimal.ROUND_UP, traps=[decimal.Inexact])
    with decimal.localcontext(clumsy):
        amount = parse_amount(Decimal(written))
        micros = to_micros(amount)
        text = plain(amount)

    assert micros == expected
    assert text == written


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (10_000, "0.01"),
        (12_500_000, "12.50"),
        (1_000_000_000_000, "1000000.00"),
        (123_456_789, "123.456789"),
        (100_100, "0.1001"),
        (2**63 - 1, "9223372036854.775807"),
    ],
)
def test_an_amount_is_written_plainly(micros: int, text: str) -> None:
    assert plain(from_micros(micros)) == text


def test_to_micros_never_rounds() -> None:
    with pytest.raises(decimal.Inexact):
        to_micros(Decimal("0.0000001"))


def test_the_largest_total_is_what_a_64_bit_integer_holds() -> None:
    assert MAX_TOTAL == 2**63 - 1
    assert to_micros(LIMIT) < MAX_TOTAL
