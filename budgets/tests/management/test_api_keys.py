"""`manage.py create_api_key` and `revoke_api_key`: a secret for a pipe, words for people."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from budgets.models import ApiKey
from budgets.services import keys
from budgets.tests.builders import NOW, is_accepted, make_brand, make_key, who_shows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def create(*arguments: str) -> tuple[str, str]:
    """Return what the command wrote to stdout and to stderr."""
    out, err = StringIO(), StringIO()
    call_command("create_api_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def revoke(known: str) -> str:
    out = StringIO()
    call_command("revoke_api_key", known, stdout=out, stderr=StringIO(), no_color=True)
    return out.getvalue().strip()


def refusal(command: str, *arguments: str) -> str:
    """Return the error, and prove that nothing was written to stdout or to the database."""
    out = StringIO()
    before = list(ApiKey.objects.values())
    with pytest.raises(CommandError) as error:
        call_command(command, *arguments, stdout=out, stderr=StringIO())
    assert out.getvalue() == ""
    assert list(ApiKey.objects.values()) == before
    return str(error.value)


def test_the_secret_alone_is_on_stdout_and_works() -> None:
    acme, bolt = make_brand(name="Acme"), make_brand(name="Bolt")

    secret, words = create(
        *("ad server", "--scope", "spend:write", "--scope", "read"),
        *("--brand", "Acme", "--brand", "Bolt", "--brand", "Acme"),
    )

    who = who_shows(secret.removesuffix("\n"))
    assert (who.name, who.scopes) == ("ad server", frozenset({"read", "spend:write"}))
    assert who.brand_ids == frozenset({acme.pk, bolt.pk})
    assert "Created 'ad server': read, spend:write; sees Acme, Bolt." in words
    assert "not shown again" in words
    assert secret.strip() not in words


def test_without_a_brand_it_sees_all_and_says_so() -> None:
    secret, words = create("report", "--scope", "read")

    assert who_shows(secret.strip()).brand_ids is None
    assert "sees all brands" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["x", "--scope", "spend"],
            "--scope: there is no scope 'spend'; did you mean 'spend:write'?",
        ),
        (["x", "--scope", "READ"], "did you mean 'read'?"),
        (["x", "--scope", "?"], "'?'; say one of read, spend:write, manage."),
        (["x"], "Error: the following arguments are required: --scope"),
        (
            ["x", "--scope", "read", "--brand", "Acne"],
            "--brand: there is no brand 'Acne'; did you mean 'Acme'?",
        ),
        (["x", "--scope", "read", "--brand", "Zzz"], "no brand 'Zzz'; create it first."),
        (["x", "--scope", "read", "--brand", ""], "--brand is empty"),
        (["x", "--scope", "read", "--brand", "\udcff"], "--brand has control or invisible"),
        (["", "--scope", "read"], "name: This field cannot be blank."),
        (["\udcff", "--scope", "read"], "name: Write it without control or invisible"),
        (["taken", "--scope", "read"], "name: A key of this name exists already"),
        (["bg_x", "--scope", "read"], "name: bg_… is what secrets begin with"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(arguments: list[str], words: str) -> None:
    make_brand(name="Acme")
    make_key(name="taken")

    assert words in refusal("create_api_key", *arguments)


@pytest.mark.parametrize("known", ["ad server", "{prefix}", "bg_{prefix}", "{secret}"])
def test_a_key_ends_by_what_one_knows_of_it(known: str) -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)

    said = revoke(known.format(prefix=key.prefix, secret=secret))

    assert said == f"Revoked 'ad server' (bg_{key.prefix}): its next request is refused."
    assert not is_accepted(secret)
    assert revoke("ad server").endswith("was revoked before, 24 Nov 2026, 15:00 UTC.")


def test_a_name_that_is_anothers_prefix_is_not_guessed() -> None:
    key, secret = keys.create("ad server", ["read"], now=NOW)
    _, other = keys.create(key.prefix, ["read"], now=NOW)

    words = refusal("revoke_api_key", key.prefix)
    assert f"'ad server' (bg_{key.prefix})" in words

    revoke(f"bg_{key.prefix}")
    assert not is_accepted(secret)
    assert is_accepted(other)


def test_an_unknown_key_is_named_with_the_nearest_and_a_secret_not_repeated() -> None:
    secret = make_key(name="ad server")
    unknown = "bg_" + "a" * 12 + secret[15:]

    assert refusal("revoke_api_key", "ad serve").endswith("did you mean 'ad server'?")
    assert (
        refusal("revoke_api_key", "zzz") == "There is no API key 'zzz'; the admin lists them all."
    )
    assert refusal("revoke_api_key", unknown) == f"There is no API key bg_{'a' * 12}."
    assert "is empty" in refusal("revoke_api_key", "")
    assert "control or invisible" in refusal("revoke_api_key", "\udcff")
