"""What the database itself holds of an API key."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from budgets.models import ApiKey
from budgets.models.api_key import SECRET, ApiKeyStays, in_order, validate_name
from budgets.services import keys
from budgets.tests.builders import NOW

pytestmark = pytest.mark.django_db

GOOD = {"name": "ad server", "prefix": "p" * 12, "digest": "d" * 64, "scopes": "read"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ""},
        {"scopes": "admin"},
        {"scopes": "manage read"},
        {"scopes": "read read"},
        {"digest": "bg_secret"},
    ],
)
def test_the_database_refuses_what_no_service_writes(wrong: dict[str, str]) -> None:
    with pytest.raises(IntegrityError):
        ApiKey.objects.create(created_at=NOW, **{**GOOD, **wrong})


@pytest.mark.parametrize("same", ["name", "prefix"])
def test_names_and_prefixes_are_not_used_twice(same: str) -> None:
    ApiKey.objects.create(created_at=NOW, **GOOD)
    other = {**GOOD, "name": "other", "prefix": "q" * 12, same: GOOD[same]}

    with pytest.raises(IntegrityError, match=same):
        ApiKey.objects.create(created_at=NOW, **other)


def test_a_key_is_never_deleted() -> None:
    key, _ = keys.create("ad server", ["read"], now=NOW)

    with pytest.raises(ApiKeyStays, match="revoke it instead"):
        key.delete()
    with pytest.raises(ApiKeyStays):
        ApiKey.objects.filter(pk=key.pk).delete()
    assert ApiKey.objects.count() == 1


def test_scopes_are_written_in_one_order_and_once() -> None:
    assert in_order(["manage", "read", "manage"]) == in_order({"read", "manage"}) == "read manage"


@pytest.mark.parametrize(
    "name", ["bg_abc", " x", "x ", "a\nb", "a\x00", "a\x1b[2J", "a\u200b", "\ud800"]
)
def test_a_name_that_would_garble_a_log_or_be_a_secret_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        validate_name(name)


def test_a_scanner_finds_a_secret_in_a_text() -> None:
    _, secret = keys.create("ad server", ["read"], now=NOW)

    # What the documentation tells scanners to look for.
    found = re.findall(r"bg_[a-z0-9]{12}_[A-Za-z0-9]{43}", f'KEY="{secret}"\n')

    assert found == [secret]
    assert SECRET.fullmatch(secret)
