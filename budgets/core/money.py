"""Money: ``Decimal`` outside, whole micro-units (a millionth of the currency unit) inside.

Google Ads' API counts in micros too. A binary float cannot hold 0.1, and SQLite keeps decimals as
floats: a thousand times 0.1 is then less than 100, and a budget of 100 is never reached.
"""

import re
from decimal import Context, Decimal, Inexact, InvalidOperation

MICROS = 1_000_000
MAX_WHOLE_DIGITS = 12
MAX_DECIMALS = 6
LIMIT = Decimal(10) ** MAX_WHOLE_DIGITS
"""Every amount is smaller than this in size."""

MAX_TOTAL = 2**63 - 1
"""The largest sum, in micro-units, that the database's 64-bit integers hold."""

_PLAIN = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?", re.ASCII)
# A tool of its own: whoever changes the thread's decimal context must not change what we store.
_EXACT = Context(prec=50, traps=[Inexact, InvalidOperation])


class InvalidAmount(ValueError):
    """An amount that cannot be meant; the message says what would be right."""


def parse_amount(value: object) -> Decimal:
    """Return `value` (``Decimal``, ``int``, ``str`` or ``float``) as an exact amount.

    Up to 12 digits before and 6 after the point. A float is taken by its shortest decimal form.
    Raises `InvalidAmount` with words for people.
    """
    return from_micros(parse_micros(value))


def parse_micros(value: object) -> int:
    """Return `value` as whole micro-units; what `parse_amount` refuses is refused."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value):
            whole, _, fraction = value.partition(".")
            return int(whole + fraction.ljust(MAX_DECIMALS, "0"))
        raise _unfit(value)
    if isinstance(value, bool):
        raise InvalidAmount("is true or false, not an amount; write a number such as 12.50")
    if isinstance(value, float):
        value = Decimal(float.__repr__(value))  # numpy's repr is not a number
    if isinstance(value, int):
        value = Decimal(value)
    if isinstance(value, Decimal):
        return _checked(value)
    raise InvalidAmount(f"is a {type(value).__name__}, not an amount; write a number such as 12.50")


def to_micros(amount: Decimal) -> int:
    """Return the whole number of micro-units of an exact amount (see `parse_amount`)."""
    return int(_EXACT.scaleb(amount, MAX_DECIMALS).to_integral_exact(context=_EXACT))


def from_micros(micros: int) -> Decimal:
    """Return the amount of `micros` micro-units, with at least two decimals: 12.50, 0.000001."""
    amount = Decimal(micros).scaleb(-MAX_DECIMALS, context=_EXACT)
    if micros % 10_000 == 0:
        return amount.quantize(_CENT, context=_EXACT)
    return amount.normalize(context=_EXACT)


_CENT = Decimal("0.01")


def plain(amount: Decimal) -> str:
    """Write an amount without exponent or separators: '12.50', '-0.000001'."""
    return f"{from_micros(to_micros(amount)):f}"


def _unfit(text: str) -> InvalidAmount:
    """Say what is wrong with a text that is no plain amount."""
    shown = repr(text[:40])
    if text.isascii() and ("_" in text or "," in text):
        return InvalidAmount(f"{shown} has separators; write digits and a point alone: 1234.56")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return InvalidAmount(f"{shown} is not an amount; write digits and a point: 1234.56")
    if "e" in text.lower() and number.is_finite():
        return InvalidAmount(f"{shown} has an exponent; write the digits out: 1234.56")
    try:
        _checked(number)
    except InvalidAmount as error:
        return error
    if number.as_tuple().exponent < -MAX_DECIMALS:  # type: ignore[operator]  # finite here: checked
        return InvalidAmount(f"{shown} has more than {MAX_DECIMALS} decimals; round it first")
    return InvalidAmount(f"{shown} is not an amount; write digits and a point: 1234.56")


def _checked(number: Decimal) -> int:
    if not number.is_finite():
        raise InvalidAmount(f"{number} is not a finite amount; write a number such as 12.50")
    if number.copy_abs() >= LIMIT:
        raise InvalidAmount(
            f"{number:.3e} has more than {MAX_WHOLE_DIGITS} digits before the point; "
            "that cannot be meant"
        )
    try:
        return to_micros(number)
    except (Inexact, InvalidOperation):
        raise InvalidAmount(
            f"{number} has more than {MAX_DECIMALS} decimals; round it first"
        ) from None
