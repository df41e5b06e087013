"""How a reader is written to: numbers, money and instants."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from budgets.dashboard.reader import Reader, locale_of, reader_of, rounded
from budgets.services.access import Person
from budgets.tests.builders import NOW, at

NOBODY = Person(brand_ids=None, name="", may_pause=False, may_edit=False, is_restricted=False)


def reader(locale: str = "en_US") -> Reader:
    return Reader(now=NOW, person=NOBODY, locale=Locale.parse(locale))


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "words", "signed"),
    [
        ("en_US", "1284.2", "USD", "1,284.20", "$1,284.20"),
        ("en_US", "-0.000001", "USD", "-0.000001", "-$0.000001"),
        ("de_DE", "1284.205", "EUR", "1.284,205", "1.284,205\xa0€"),
        ("en_US", "1284", "JPY", "1,284", "¥1,284"),
        ("en_US", "1284.5", "KWD", "1,284.500", None),
        ("en_IN", "999999999999.999999", "INR", "9,99,99,99,99,999.999999", None),
    ],
)
def test_amounts_are_written_to_their_last_digit(
    locale: str, amount: str, currency: str, words: str, signed: str | None
) -> None:
    assert reader(locale).amount(Decimal(amount), currency) == words
    if signed is not None:
        assert reader(locale).money(Decimal(amount), currency) == signed


def test_what_is_foreseen_is_rounded_to_the_coin() -> None:
    third = Decimal(100) / 3

    assert rounded(third, "USD") == Decimal("33.33")
    assert reader().about(third, "JPY") == "33"
    assert reader().about(third, "KWD") == "33.333"


@pytest.mark.parametrize(
    ("share", "words"), [("0.99999", "99%"), ("1", "100%"), ("12.5", "1,250%"), ("-0.05", "-5%")]
)
def test_a_share_is_rounded_down(share: str, words: str) -> None:
    assert reader().percent(Decimal(share)) == words


@pytest.mark.parametrize(
    ("instant", "local"),
    [
        ("2026-11-24T16:00Z", "17:00"),
        ("2026-11-24T23:30Z", "Wed 25 Nov, 00:30"),
        ("2027-01-02T10:00Z", "Sat 2 Jan 2027, 11:00"),
    ],
)
def test_an_instant_is_on_the_brands_clock_with_utc_beside_it(instant: str, local: str) -> None:
    stamp = reader().time(at(instant), ZoneInfo("Europe/Berlin"))

    assert stamp.local == local
    assert stamp.utc == f"{at(instant):%Y-%m-%d %H:%M:%S} UTC"
    assert at(stamp.iso) == at(instant)


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de_AT"),
        ("xx,tlh;q=0.9,fr;q=0.5", "fr"),
        ("", "en_US"),
        ("*", "en_US"),
        ("de" * 5000, "en_US"),
        ("\x00;q=nan,,;;=", "en_US"),
    ],
)
def test_the_first_known_language_of_the_browser_counts(header: str, locale: str) -> None:
    assert str(locale_of(header)) == locale


@pytest.mark.django_db
def test_a_reader_is_whoever_asks_now() -> None:
    request = RequestFactory().get("/", headers={"accept-language": "fr"})
    request.user = AnonymousUser()

    found = reader_of(request)

    assert str(found.locale) == "fr"
    assert found.now.tzinfo is not None
    assert not (found.person.may_pause)
    assert not (found.person.may_edit)


def test_letters_and_digits_of_an_amount_stand_apart() -> None:
    assert reader().money(Decimal(3200), "NOK") == "NOK\N{NO-BREAK SPACE}3,200.00"
    assert reader().money(Decimal(3200), "CAD") == "CA$3,200.00"
    assert reader("de_DE").money(Decimal(3200), "NOK") == "3.200,00\N{NO-BREAK SPACE}NOK"
