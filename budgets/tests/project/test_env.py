"""Readers of the environment: what cannot be meant is refused with its name and a remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_celery_budget import env

NAME = "BUDGETS_TEST_VARIABLE"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.delenv(f"{NAME}_FILE", raising=False)
    return monkeypatch


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_empty_variable_is_an_unset_one(given: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        given.setenv(NAME, value)
        given.setenv(f"{NAME}_FILE", value)

    assert env.text(NAME, "the default") == "the default"
    assert env.boolean(NAME, default=True) is True
    assert env.boolean(NAME) is False
    assert env.integer(NAME, 7, at_least=1, at_most=9) == 7
    assert env.choice(NAME, ("first", "second")) == "first"
    assert env.words(NAME) == []
    assert env.secret(NAME) == ""


def test_text_is_stripped(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, " a b\n")

    assert env.text(NAME, "the default") == "a b"


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        *((value, True) for value in ("1", "true", "TRUE", "yes", "On")),
        *((value, False) for value in ("0", "false", "No", "off", " OFF ")),
    ],
)
def test_yes_and_no_have_four_spellings_each(
    given: pytest.MonkeyPatch, value: str, meaning: bool
) -> None:
    given.setenv(NAME, value)

    assert env.boolean(NAME, default=not meaning) is meaning


@pytest.mark.parametrize("value", ["maybe", "2", "truee", "1 0"])
def test_what_is_neither_yes_nor_no_is_refused(given: pytest.MonkeyPatch, value: str) -> None:
    given.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured, match=f"{NAME}='{value}' .*say 1, true.*or unset it"):
        env.boolean(NAME)


@pytest.mark.parametrize(("value", "number"), [("1", 1), ("365", 365), (" 042 ", 42)])
def test_whole_numbers_are_read(given: pytest.MonkeyPatch, value: str, number: int) -> None:
    given.setenv(NAME, value)

    assert env.integer(NAME, 7, at_least=1, at_most=365) == number


@pytest.mark.parametrize(
    "value",
    [
        *("0", "366", "-1", "+1", "1.0", "1e2", "1_0", "0x1", "ten", "٣", "²"),
        pytest.param("9" * 5000, id="more digits than int() takes"),
    ],
)
def test_what_is_no_whole_number_within_bounds_is_refused(
    given: pytest.MonkeyPatch, value: str
) -> None:
    given.setenv(NAME, value)

    remedy = f"^{NAME}=.* must be a whole number from 1 to 365; unset it for 7"
    with pytest.raises(ImproperlyConfigured, match=remedy):
        env.integer(NAME, 7, at_least=1, at_most=365)


def test_a_choice_is_one_of_its_options(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, "second")
    assert env.choice(NAME, ("first", "second")) == "second"

    given.setenv(NAME, "third")
    with pytest.raises(
        ImproperlyConfigured, match=f"{NAME}='third' is unknown: say first or second"
    ):
        env.choice(NAME, ("first", "second"))


def test_words_stand_between_commas(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, " a.example , ,b.example,")

    assert env.words(NAME) == ["a.example", "b.example"]


class TestSecrets:
    def test_a_secret_is_the_variable(self, given: pytest.MonkeyPatch) -> None:
        given.setenv(NAME, "hidden")

        assert env.secret(NAME) == "hidden"

    def test_a_secret_may_be_in_a_file(self, given: pytest.MonkeyPatch, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_text("hidden\n")
        given.setenv(f"{NAME}_FILE", str(path))

        assert env.secret(NAME) == "hidden"

    def test_two_sources_are_refused(self, given: pytest.MonkeyPatch, tmp_path: Path) -> None:
        given.setenv(NAME, "hidden")
        given.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

        with pytest.raises(ImproperlyConfigured) as refusal:
            env.secret(NAME)

        assert f"{NAME} and {NAME}_FILE are both set: unset one" in str(refusal.value)
        assert "hidden" not in str(refusal.value)

    @pytest.mark.parametrize("kind", ["missing", "directory", "binary"])
    def test_a_file_that_cannot_be_read_is_refused(
        self, given: pytest.MonkeyPatch, tmp_path: Path, kind: str
    ) -> None:
        path = tmp_path / "secret"
        if kind == "directory":
            path.mkdir()
        elif kind == "binary":
            path.write_bytes(b"\xff\xfe")
        given.setenv(f"{NAME}_FILE", str(path))

        with pytest.raises(
            ImproperlyConfigured, match=f"{NAME}_FILE='{re.escape(str(path))}' cannot be read: "
        ):
            env.secret(NAME)

    def test_an_empty_file_is_refused(self, given: pytest.MonkeyPatch, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_text(" \n")
        given.setenv(f"{NAME}_FILE", str(path))

        with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE=.* is empty: write the value"):
            env.secret(NAME)
