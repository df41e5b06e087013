"""Keys: what each may do and sees, refused at once when revoked, and a secret that is nowhere."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from budgets.models import ApiKey, Brand, Campaign
from budgets.services import keys
from budgets.services.keys import NOTED_EVERY, Principal
from budgets.tests.builders import (
    NOW,
    everything_stored,
    is_accepted,
    make_brand,
    make_campaign,
    make_key,
    who_shows,
)

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


# --- The secret ---------------------------------------------------------------------------------


def test_a_secret_says_its_prefix_and_has_256_random_bits() -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)

    mark, prefix, rest = secret.split("_")
    assert (mark, prefix) == ("bg", key.prefix)
    assert len(rest) * math.log2(62) >= 256
    assert len({make_key(name=str(at)) for at in range(20)}) == 20


def test_the_secret_is_nowhere_in_the_database() -> None:
    secret = make_key()
    who_shows(secret)

    stored = everything_stored()

    assert (
        hashlib.sha256(secret.encode()).hexdigest() in stored
    )  # it is looked for in the right place
    assert secret.rpartition("_")[2] not in stored


def test_the_secret_is_in_no_log_not_even_of_statements(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "django.db.backends")
    with CaptureQueriesContext(connection):  # so that statements are logged
        key, secret = keys.create("ad server", ["read"], now=NOW)
        who_shows(secret)
        keys.revoke(key, now=NOW)
        assert not is_accepted(secret)

    assert key.prefix in caplog.text
    assert secret.rpartition("_")[2] not in caplog.text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda secret: secret[:-1] + ("a" if secret[-1] != "a" else "b"),
        lambda secret: secret[:-1],
        lambda secret: secret + "a",
        lambda secret: secret + "\n",
        lambda secret: secret.upper(),
        lambda secret: secret[:16],
        lambda secret: "bg_" + "a" * 12 + secret[15:],
        lambda secret: secret.replace("bg_", "bg-"),
        lambda secret: "",
        lambda secret: "a\x00b",
        lambda secret: "\ud800" * 60,
        lambda secret: "bg_" + "٣" * 12 + "_" + "٣" * 43,
        lambda secret: "x" * 1_000_000,
        lambda secret: hashlib.sha256(secret.encode()).hexdigest(),
    ],
)
def test_any_other_text_is_nobody(spoil: Callable[[str], str]) -> None:
    secret = make_key()

    assert not is_accepted(spoil(secret))
    assert ApiKey.objects.get().last_used_at is None
    assert is_accepted(secret)


# --- Making one ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scopes", "field", "words"),
    [
        ("", ["read"], "name", "This field cannot be blank."),
        ("x" * 101, ["read"], "name", "at most 100 characters"),
        ("a\nb", ["read"], "name", "without control or invisible characters"),
        ("bg_secret", ["read"], "name", "what secrets begin with"),
        ("fine", [], "scopes", "Choose at least one of read, spend:write, manage."),
        ("fine", ["read", "root"], "scopes", "'root' is no scope"),
        ("fine", "read", "scopes", "is no scope"),
        ("taken", ["read"], "__all__", "A key of this name exists already"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(
    name: str, scopes: list[str], field: str, words: str
) -> None:
    keys.create("taken", ["manage"], now=NOW)

    with pytest.raises(ValidationError) as error:
        keys.create(name, scopes, now=NOW)

    assert words in error.value.message_dict[field][0]
    assert ApiKey.objects.count() == 1


def test_whoever_loses_a_race_for_a_name_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    make_key(name="taken")
    monkeypatch.setattr(ApiKey, "full_clean", lambda self: None)

    with pytest.raises(ValidationError, match="exists already"):
        make_key(name="taken")


def test_a_revoked_keys_name_stays_taken() -> None:
    key, _ = keys.create("ad server", ["read"], now=NOW)
    keys.revoke(key, now=NOW)

    with pytest.raises(ValidationError, match="exists already"):
        make_key(name="ad server")


# --- What it may do and sees --------------------------------------------------------------------


def test_it_may_what_its_scopes_say_and_nothing_they_might_include() -> None:
    who = who_shows(make_key(scopes=("manage", "spend:write")))

    assert (who.name, who.scopes) == ("ad server", frozenset({"manage", "spend:write"}))
    assert who.may("manage")
    assert who.may("spend:write")
    assert not who.may("read")
    assert not who.may("")


def test_without_a_restriction_it_sees_all_brands_those_to_come_as_well() -> None:
    make_campaign()
    who = who_shows(make_key())
    later = make_campaign()

    assert who.brand_ids is None
    assert set(who.brands()) == set(Brand.objects.all())
    assert set(who.campaigns()) == set(Campaign.objects.all())
    assert who.sees_brand(later.brand_id)


def test_restricted_it_sees_its_brands_and_the_others_do_not_exist() -> None:
    own, second, foreign = make_campaign(), make_campaign(), make_campaign()

    who = who_shows(make_key(own.brand, second.brand))

    assert who.brand_ids == frozenset({own.brand_id, second.brand_id})
    assert set(who.brands()) == {own.brand, second.brand}
    assert set(who.campaigns()) == {own, second}
    assert who.sees_brand(own.brand_id)
    assert not who.sees_brand(foreign.brand_id)
    for absent in (foreign.pk, 10**12):
        assert not who.campaigns().filter(pk=absent).exists()


def test_a_key_whose_last_brand_is_deleted_sees_nothing() -> None:
    brand, other = make_brand(), make_campaign()
    secret = make_key(brand)

    brand.delete()

    who = who_shows(secret)
    assert who.brand_ids == frozenset()
    assert not who.brands().exists()
    assert not who.campaigns().exists()
    assert not who.sees_brand(other.brand_id)


def test_a_key_whose_brands_a_shell_removes_sees_nothing_and_whose_it_adds_only_them() -> None:
    brand = make_brand()
    restricted, free = make_key(brand, name="restricted"), make_key(name="free")

    ApiKey.objects.get(name="restricted").brands.clear()
    ApiKey.objects.get(name="free").brands.add(brand)

    assert who_shows(restricted).brand_ids == frozenset()
    assert who_shows(free).brand_ids == frozenset({brand.pk})


def test_brands_change_from_the_next_request_on() -> None:
    one, two = make_brand(), make_brand()
    key, secret = keys.create("ad server", ["read", "manage"], [one], now=NOW)

    keys.change(key, scopes=["read"], brands=[two])
    assert who_shows(secret).brand_ids == frozenset({two.pk})
    assert not who_shows(secret).may("manage")

    keys.change(key, scopes=["read"], brands=[])
    assert who_shows(secret).brand_ids == frozenset()

    keys.change(key, scopes=["read"], brands=None)
    assert who_shows(secret).brand_ids is None


def test_scopes_are_taken_away_but_never_added() -> None:
    key, secret = keys.create("ad server", ["read", "manage"], now=NOW)
    keys.change(key, scopes=["read"], brands=None)

    with pytest.raises(ValidationError, match="create another key for manage"):
        keys.change(key, scopes=["read", "manage"], brands=None)
    with pytest.raises(ValidationError, match="at least one"):
        keys.change(key, scopes=[], brands=None)

    assert who_shows(secret).scopes == {"read"}


# --- Its end ------------------------------------------------------------------------------------


def test_a_revoked_key_is_refused_at_the_very_next_request() -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)
    assert is_accepted(secret)

    assert keys.revoke(key, now=NOW)

    assert not is_accepted(secret)
    assert key.revoked_at == NOW


def test_revoking_again_keeps_the_first_instant() -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)
    keys.revoke(key, now=NOW)

    assert not keys.revoke(key, now=NOW + SECOND)

    key.refresh_from_db()
    assert key.revoked_at == NOW
    with pytest.raises(ValidationError, match="revoked"):
        keys.change(key, scopes=["read"], brands=None)
    assert not is_accepted(secret)


@pytest.mark.parametrize(
    "known", ["ad server", "{prefix}", "bg_{prefix}", "bg_{prefix}_…", "{secret}"]
)
def test_a_key_is_found_by_what_one_knows_of_it(known: str) -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)
    make_key(name="other")

    assert list(keys.named(known.format(prefix=key.prefix, secret=secret))) == [key]
    assert not keys.named("nobody").exists()


# --- What a request costs -----------------------------------------------------------------------


def test_a_request_asks_one_question_however_many_brands_and_garbage_asks_none() -> None:
    few, many = make_key(name="few"), make_key(*(make_brand() for _ in range(30)), name="many")
    for secret in (few, many):
        who_shows(secret)

        with CaptureQueriesContext(connection) as captured:
            who_shows(secret)

        assert len(captured) == 1
    with CaptureQueriesContext(connection) as captured:
        assert not is_accepted("garbage")
    assert len(captured) == 0


def test_the_last_use_is_written_once_a_minute() -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)
    written = []

    for seconds in (0, 1, 59, 60, 61, 119, 120):
        now = NOW + timedelta(seconds=seconds)
        with CaptureQueriesContext(connection) as captured:
            assert keys.authenticate(secret, now=now)
        if any("UPDATE" in query["sql"].split() for query in captured):
            key.refresh_from_db()
            assert key.last_used_at == now
            written.append(seconds)

    assert timedelta(seconds=60) == NOTED_EVERY
    assert written == [0, 60, 120]


def test_a_use_that_cannot_be_noted_is_no_reason_to_refuse(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = make_key()

    def refuse(execute: Callable[..., object], sql: str, *more: object) -> object:
        if sql.startswith("UPDATE"):
            raise OperationalError("database is locked")
        return execute(sql, *more)

    with connection.execute_wrapper(refuse):
        assert keys.authenticate(secret, now=NOW)

    assert "was not noted: database is locked" in caplog.text
    assert ApiKey.objects.get().last_used_at is None


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_no_request_waits_for_another_one_that_notes_the_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)

    def ask() -> Principal | None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1ms'")  # who waits at all is told so
            return keys.authenticate(secret, now=NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        found = pool.submit(ask).result()

    assert found is not None
    assert caplog.text == ""
    key.refresh_from_db()
    assert key.last_used_at is None
