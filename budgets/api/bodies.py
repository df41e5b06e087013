"""JSON as it was meant: exact numbers, no key twice, nothing that is not JSON."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.parser import Parser

from budgets.api.problems import Problem


class ExactParser(Parser):
    """Reads request bodies."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return the body; a number with a point is a ``Decimal``, digit by digit as it was sent."""
        kind = request.content_type or "application/json"
        if kind != "application/json":
            raise Problem(
                415, "unsupported_media_type", f"{kind} is not understood; send application/json"
            )
        return parse(request.body)


def parse(body: bytes) -> Any:
    """Parse JSON; raise a 400 that says what is wrong with it.

    Numbers are ``int``, or ``Decimal`` when they have a point, an exponent or too many digits for us.
    """
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_float=_exact,
            parse_int=_whole,
            parse_constant=_refuse,
            object_pairs_hook=_distinct,
        )
    except RecursionError:
        raise malformed("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise malformed("it is not UTF-8") from None
    except ValueError as error:
        raise malformed(str(error)) from None


def malformed(why: str) -> Problem:
    """Return what a body that is no JSON is answered with."""
    return Problem(400, "malformed_json", f"the body is no JSON that can be meant: {why}")


def _whole(digits: str) -> int | Decimal:
    # A Decimal is no integer to a field, which then refuses it by name; and Python's integers refuse
    # more than 4,300 digits with words about our settings.
    return int(digits) if len(digits) <= 30 else Decimal(digits)


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the number {text[:20]!r} is beyond all numbers") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:50]!r} stands there twice")
    return found
