"""Who reads a page, when, and how they write numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.numbers import (
    format_currency,
    format_decimal,
    format_percent,
    get_currency_precision,
    get_currency_symbol,
)
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation.trans_real import parse_accept_lang_header

from budgets.core import money
from budgets.core.plurals import plural
from budgets.services import access
from budgets.services.access import Person

MICRO_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """An instant for people: on the brand's clock, in UTC, and for machines (ISO 8601)."""

    local: str
    utc: str
    iso: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads, at which instant (UTC), and the number format of their browser's first language."""

    now: datetime
    person: Person
    locale: Locale

    def money(self, amount: Decimal, currency: str) -> str:
        """Write an amount to its last digit with the sign of its currency: '$1,284.20'."""
        pattern = self.locale.currency_formats["standard"].pattern
        if get_currency_symbol(currency, self.locale)[-1].isalpha():
            # CLDR wants a space between letters and digits; Babel leaves it out.
            pattern = re.sub(r"¤(?=[#0-9])", "¤\N{NO-BREAK SPACE}", pattern)
        return format_currency(
            _plain(amount),
            currency,
            pattern.replace("0.00", _digits(currency)),
            locale=self.locale,
            currency_digits=False,
        )

    def amount(self, amount: Decimal, currency: str) -> str:
        """Write it without the sign: '1,284.20', '1.284,20'."""
        return _amount(self.locale, amount, currency)

    def about(self, amount: Decimal, currency: str) -> str:
        """Write an amount that is planned or foreseen, rounded to the currency's coin: '1,284.20'."""
        return self.amount(rounded(amount, currency), currency)

    def number(self, count: int | Decimal) -> str:
        """Write a number: '12,345'."""
        return format_decimal(count, locale=self.locale)

    def counted(self, count: int, noun: str) -> str:
        """Write a number with its noun: '1 campaign', '12,345 campaigns'."""
        return f"{self.number(count)} {plural(count, noun)}"

    def percent(self, share: Decimal) -> str:
        """Write a share (1 is the whole) in whole percent, down: 99.99 % must not read as reached."""
        hundredths = (share * 100).to_integral_value(ROUND_FLOOR)
        return format_percent(hundredths / 100, locale=self.locale)

    def time(self, instant: datetime, zone: ZoneInfo) -> Stamp:
        """Write an instant on the clock of `zone`: '14:32' of today, else with its date."""
        local, today = instant.astimezone(zone), self.now.astimezone(zone).date()
        day = f"{local:%a} {local.day} {local:%b}"
        if local.year != today.year:
            day = f"{day} {local.year}"
        return Stamp(
            local=f"{local:%H:%M}" if local.date() == today else f"{day}, {local:%H:%M}",
            utc=f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            iso=local.isoformat(timespec="seconds"),
        )


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Return what is planned or foreseen to the currency's coin: more digits would claim too much."""
    coin = Decimal(1).scaleb(-get_currency_precision(currency))
    return amount.quantize(coin, ROUND_HALF_EVEN)


def reader_of(request: HttpRequest) -> Reader:
    """Return who reads this page; the clock is read here, once."""
    return Reader(
        now=timezone.now(),
        person=access.person(request.user),
        locale=locale_of(request.headers.get("Accept-Language", "")),
    )


@lru_cache(maxsize=256)
def locale_of(accept_language: str) -> Locale:
    """Return the first locale of an Accept-Language header whose number format is known."""
    for tag, _ in parse_accept_lang_header(accept_language[:200]):
        try:
            return Locale.parse(tag, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return Locale("en", "US")


@lru_cache(maxsize=16_384)
def _amount(locale: Locale, amount: Decimal, currency: str) -> str:
    # Kept: a page writes hundreds, and nearly the same every few seconds.
    pattern = locale.decimal_formats[None].pattern.replace("0.###", _digits(currency))
    return format_decimal(_plain(amount), pattern, locale=locale)


@lru_cache(maxsize=256)
def _digits(currency: str) -> str:
    """Return the pattern of an amount's digits: as many as are usual, and all there are."""
    usual = get_currency_precision(currency)
    return f"0.{'0' * usual}{'#' * (MICRO_DIGITS - usual)}"


def _plain(amount: Decimal) -> Decimal:
    return money.from_micros(money.to_micros(amount))
