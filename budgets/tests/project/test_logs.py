"""One line, or one JSON object, a record: whatever people call their brands."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from django_celery_budget import logs

FORGED = "2026-11-24T15:00:00Z [info     ] all is well"
HOSTILE = f"Brand\r\n{FORGED}\x1b[2J\x1b[31m\x9b31m\u2028{FORGED}\x85{FORGED}\x7f\0"
SIGNS_OF_CONTROL = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"}


class Book:
    """A logger of one form, and what it wrote."""

    def __init__(self, form: str, name: str = "budgets.test") -> None:
        written = {**logs.config(form)["formatters"]["one"]}
        handler = logging.StreamHandler(io.StringIO())
        handler.setFormatter(written.pop("()")(**written))
        self.logger = logging.Logger(name)  # noqa: LOG001  # known to nobody else
        self.logger.addHandler(handler)
        self._output = handler.stream

    def text(self) -> str:
        return str(self._output.getvalue())

    def lines(self) -> list[str]:
        return self.text().removesuffix("\n").split("\n")

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture(autouse=True)
def structlog_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def fail(message: str) -> None:
    raise ValueError(message)


class TestLinesForPeople:
    def test_a_record_is_a_line_with_instant_level_and_logger(self) -> None:
        book = Book("console")

        book.logger.warning("%s was paused", "Alpenglow")

        [line] = book.lines()
        instant, _, rest = line.partition(" ")
        assert instant.endswith("Z")
        assert rest == "[warning  ] Alpenglow was paused [budgets.test]"

    def test_celery_says_nothing_twice(self) -> None:
        book = Book("console", "celery.app.trace")

        book.logger.info("Task done: 7", extra={"data": {"return_value": 7}})

        [line] = book.lines()
        assert line.endswith("Task done: 7 [celery.app.trace]")

    def test_a_name_cannot_forge_a_line(self) -> None:
        book = Book("console")

        book.logger.info("%s was paused", HOSTILE)

        [line] = book.lines()
        assert not SIGNS_OF_CONTROL & set(line)
        assert "Brand\\r\\n2026-11-24" in line
        assert "\\x1b[31m\\x9b31m\\u2028" in line

    def test_nor_can_a_name_in_an_extra(self) -> None:
        book = Book("console")

        book.logger.info("paused", extra={"brand": HOSTILE, "short": "\x1b[31m"})

        [line] = book.lines()
        assert not SIGNS_OF_CONTROL & set(line)
        assert "short='\\x1b[31m'" in line

    def test_nor_can_a_name_that_an_error_quotes(self) -> None:
        book = Book("console")

        try:
            fail(HOSTILE)
        except ValueError:
            book.logger.exception("the pass failed")

        first, *traceback = book.lines()
        assert first.endswith("[error    ] the pass failed [budgets.test]")
        assert "Traceback (most recent call last):" in traceback[0]
        assert "ValueError: Brand\\r" in traceback[-2]
        assert all(line.startswith("  ") for line in traceback)
        assert not SIGNS_OF_CONTROL & set("".join(traceback))

    def test_letters_of_every_script_stay_what_they_are(self) -> None:
        book = Book("console")

        book.logger.info("Überbräu, 東京, مرحبا")

        assert "Überbräu, 東京, مرحبا" in book.text()

    def test_what_is_no_text_is_written_all_the_same(self) -> None:
        book = Book("console")

        book.logger.info({"brand": "\n"})
        book.logger.info(ValueError("a\nb"))

        assert len(book.lines()) == 2


class TestJson:
    def test_a_record_is_one_object(self) -> None:
        book = Book("json")

        book.logger.info("%s was paused", HOSTILE)
        book.logger.warning("again", extra={"brand_id": 7})

        assert len(book.lines()) == 2
        first, second = book.objects()
        assert first["event"] == f"{HOSTILE} was paused"
        assert (first["level"], first["logger"]) == ("info", "budgets.test")
        assert first["timestamp"].endswith("Z")
        assert second["brand_id"] == 7

    def test_an_error_is_part_of_its_object(self) -> None:
        book = Book("json")

        try:
            fail(HOSTILE)
        except ValueError:
            book.logger.exception("the pass failed")

        [record] = book.objects()
        assert record["event"] == "the pass failed"
        assert record["exception"].startswith("Traceback (most recent call last):")
        assert f"ValueError: {HOSTILE}" in record["exception"]

    def test_what_json_does_not_know_is_described(self) -> None:
        book = Book("json")

        book.logger.info("paused", extra={"what": {1, 2}, "who": object()})

        [record] = book.objects()
        assert record["what"] == "{1, 2}"


@pytest.mark.parametrize("form", ["console", "json"])
def test_words_bound_by_structlog_are_in_the_record(form: str) -> None:
    book = Book(form)
    logger = structlog.wrap_logger(book.logger)

    with structlog.contextvars.bound_contextvars(run="r-1"):
        logger.info("paused", brand="Alpenglow")

    [line] = book.lines()
    assert "r-1" in line
    assert "Alpenglow" in line


@pytest.mark.parametrize("form", ["console", "json"])
def test_our_secrets_are_hidden_wherever_they_stand(form: str) -> None:
    book = Book(form)
    key, secret = f"bg_{'a1' * 6}_{'Xy9' * 14}Z", f"whsec_{'Ab3+' * 10}Zz0="

    book.logger.info("GET /api?key=%s", key, extra={"body": {"secret": [secret]}})
    try:
        fail(f"no such key: {key}")
    except ValueError:
        book.logger.exception("refused")

    assert key not in book.text()
    assert secret not in book.text()
    # Which key it was can be told: its prefix is no secret.
    assert book.text().count(f"bg_{'a1' * 6}_***") >= 2
