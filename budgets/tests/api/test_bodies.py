"""Bodies that are not what they should be: every address that takes one refuses them alike."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from budgets.api import bodies
from budgets.models import Campaign
from budgets.tests.api.programs import Program, event

TAKERS = [
    "POST /spend",
    "POST /spend/to-date",
    "PATCH /brands/{brand}",
    "PATCH /campaigns/{campaign}",
]

MALFORMED = {
    "NaN": b'{"source": NaN}',
    "Infinity": b'{"source": [-Infinity]}',
    "a number beyond numbers": b'{"source": 1e99999999999999999999}',
    "a key twice": b'{"source": "a", "source": "b"}',
    "a key twice, deep": b'{"source": {"a": 1, "a": 1}}',
    "nested deeply": b'{"source": ' + b"[" * 100_000,
    "objects nested deeply": b'{"a":' * 50_000,
    "not UTF-8": b'{"source": "\xff\xfe"}',
    "UTF-16": '{"source": "a"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"source": "a"}',
    "cut": b'{"source": "a", "events": [{"id": "1", "amount": 2',
    "a quote of its own": b"{'source': 'a'}",
    "a comment": b'{"source": "a"} // b',
    "a comma too many": b'{"source": "a",}',
    "two bodies": b'{"source": "a"}{"source": "a"}',
    "a bare control character": b'{"source": "a\nb"}',
    "gzip without saying so": gzip.compress(b'{"source": "a"}'),
    "form": b"source=a",
    "a space": b" ",
}
NO_OBJECTS = [b"null", b"1", b'"a"', b"[]", b"true", b"[{}]"]
UNKNOWN = [
    b'{"nonsense": 1}',
    b'{"": 1}',
    b'{"\\u0000": 1}',
    b'{"\\ud800": 1}',
    b'{"__class__": {}}',
    b'{"a": ' * 500 + b"1" + b"}" * 500,
]


@pytest.fixture(params=TAKERS)
def taker(request: pytest.FixtureRequest, tents: Campaign) -> tuple[str, str]:
    """An address that takes a body."""
    method, path = request.param.split()
    return method, path.format(brand=tents.brand_id, campaign=tents.pk)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_refused(
    program: Program, taker: tuple[str, str], unchanged: Any, body: bytes
) -> None:
    unchanged()
    program.ask(*taker, body).problem(400, "malformed_json")


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_what_is_no_object_is_refused(
    program: Program, taker: tuple[str, str], unchanged: Any, body: bytes
) -> None:
    unchanged()
    assert program.ask(*taker, body).wrong() == {"body": "not_an_object"}


def test_an_empty_body_is_missing(program: Program, taker: tuple[str, str], unchanged: Any) -> None:
    unchanged()
    assert program.ask(*taker, b"").wrong() == {"body": "missing"}


@pytest.mark.parametrize("body", UNKNOWN, ids=lambda body: body[:20])
def test_unknown_fields_are_refused(
    program: Program, taker: tuple[str, str], unchanged: Any, body: bytes
) -> None:
    unchanged()
    assert program.ask(*taker, body).wrong()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_another_kind_of_body_is_refused(
    program: Program, taker: tuple[str, str], unchanged: Any, kind: str
) -> None:
    unchanged()
    answer = program.ask(*taker, b'{"source": "a"}', content_type=kind)
    answer.problem(415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_compressed_body_is_refused(
    program: Program, taker: tuple[str, str], unchanged: Any, encoding: str
) -> None:
    unchanged()
    bomb = gzip.compress(b" " * 10_000_000)
    answer = program.ask(*taker, bomb, **{"Content-Encoding": encoding})
    answer.problem(415, "unsupported_encoding")


def test_a_large_body_is_refused(
    program: Program, taker: tuple[str, str], unchanged: Any, settings: Any
) -> None:
    unchanged()
    body = b'{"source": "' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}'
    program.ask(*taker, body).problem(413, "too_large")


def test_five_thousand_events_fit(settings: Any) -> None:
    longest = event(10**18, "-123456789012.123456", id="x" * 200, occurred_at="x" * 30)
    assert 5000 * len(repr(longest)) < settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def test_pausing_reads_no_body(program: Program, tents: Campaign) -> None:
    """In an emergency nothing but the key and the address must be right."""
    assert program.post(f"/campaigns/{tents.pk}/pause", b"\xff").status == 200


@pytest.mark.parametrize("digits", [1, 30, 31, 4000, 4301, 100_000])
def test_whole_numbers_of_any_length_are_read(digits: int) -> None:
    read = bodies.parse(b"9" * digits)
    assert str(read) == "9" * digits
    # Python's own integers end at 4,300 digits, with an error about our settings.
    assert isinstance(read, int) == (digits <= 30)
