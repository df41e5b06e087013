"""Errors as RFC 9457 tells them: one shape, a stable code, the field and the remedy."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as ShapeError

from budgets.services import meters

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is its path in what was sent, as `events.3.amount`."""

    field: str
    code: str
    message: str


@dataclass(slots=True)
class Problem(Exception):
    """A request that cannot be answered as it was asked. Nothing was changed."""

    status: int
    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"


def not_found(what: str) -> Problem:
    """Return what unknown and foreign objects are answered with alike."""
    return Problem(404, "not_found", f"there is no such {what}, or this key may not see it")


def refuse_null(values: Mapping[str, object], nullable: Collection[str]) -> None:
    """Raise a problem for what was sent as null and cannot be."""
    wrong = [
        FieldError(name, "null", "cannot be null; leave it out to keep what it is")
        for name, value in values.items()
        if value is None and name not in nullable
    ]
    if wrong:
        raise invalid(wrong)


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return what a request with wrong fields (one at least) is answered with."""
    count = len(errors)
    if count > 1:
        return Problem(422, "invalid", f"{count} fields are wrong", errors)
    [one] = errors
    return Problem(
        422, "invalid", f"{one.field}: {one.message}" if one.field else one.message, errors
    )


def answer(problem: Problem) -> HttpResponse:
    """Write a problem as the response."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [
            {"field": error.field, "code": error.code, "message": error.message}
            for error in problem.errors
        ]
    response = HttpResponse(
        json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        status=problem.status,
        content_type=CONTENT_TYPE,
    )
    for name, value in problem.headers.items():
        response[name] = value
    return response


def from_model(error: ValidationError) -> Problem:
    """Turn what a model's validation refused into a problem."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
    return invalid(
        [
            FieldError(
                "" if name == NON_FIELD_ERRORS else name,
                str(one.code or "invalid"),
                " ".join(map(str, one.messages)),
            )
            for name, errors in by_field.items()
            for one in errors
        ]
    )


def install(api: NinjaAPI) -> None:
    """Have the api answer every exception as a problem."""

    def handle(kind: type[Exception], to_problem: Any) -> None:
        def handler(_request: HttpRequest, error: Any) -> HttpResponse:
            return answer(to_problem(error))

        api.add_exception_handler(kind, handler)

    handle(Problem, lambda problem: problem)
    handle(ShapeError, _of_shape)
    handle(AuthenticationError, lambda _error: unauthorized())
    handle(Http404, lambda _error: not_found("page"))
    handle(HttpError, _of_ninja)
    handle(ValidationError, from_model)
    handle(RequestDataTooBig, _too_big)
    handle(SuspiciousOperation, lambda error: Problem(400, "bad_request", str(error)))
    handle(OperationalError, _database_down)
    handle(InterfaceError, _database_down)


def unauthorized() -> Problem:
    """Return what a request without a valid key is answered with."""
    return Problem(
        401,
        "unauthorized",
        "send a valid key: Authorization: Bearer bg_…; an administrator creates one",
        headers={"WWW-Authenticate": "Bearer"},
    )


def method_not_allowed(allowed: str) -> Problem:
    """Return what a method that an address does not know is answered with."""
    detail = f"this address knows {allowed}"
    return Problem(405, "method_not_allowed", detail, headers={"Allow": allowed})


def encoded() -> Problem:
    """Return what a compressed body is answered with: a small one may unfold without end."""
    return Problem(415, "unsupported_encoding", "send the body as it is, without Content-Encoding")


def of_fields(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Return what pydantic found wrong, a line a field."""
    errors: dict[str, FieldError] = {}
    for one in found:
        name = _name_of(one)
        code, message = _WORDS.get(one["type"], (str(one["type"]), str(one["msg"])))
        # Of a field that may be of several types each says what it is not: one will do.
        errors.setdefault(name, FieldError(name, code, message))
    # And the one that it could have been says it of its parts.
    return [it for name, it in errors.items() if not any(n.startswith(f"{name}.") for n in errors)]


def _name_of(error: Mapping[str, Any]) -> str:
    *path, last = error["loc"] or ("body",)
    parts = [str(part) for part in path if part not in _VARIANTS]
    if error["type"] == "extra_forbidden" or last not in _VARIANTS:
        parts.append(str(last))  # Callers' own names may be anything.
    return ".".join(parts)


_VARIANTS = {"int", "str", "decimal", "CampaignName"}
"""What pydantic puts into a path to say which type of several it means."""
_WORDS = {
    "extra_forbidden": ("unknown_field", "is no field that can be sent here; leave it out"),
    "missing": ("missing", "is missing; send it"),
    "model_type": ("not_an_object", "is no JSON object; send one: {…}"),
    "model_attributes_type": ("not_an_object", "is no JSON object; send one: {…}"),
    "string_unicode": ("invalid", "has half a character of a pair; write it without"),
}


def _of_shape(error: ShapeError) -> Problem:
    # A path begins with where it came from and, in a body, the name of our function's parameter.
    skips = {"body": 2, "query": 1, "path": 1, "header": 1}
    found = [
        {**one, "loc": one["loc"][skips.get(one["loc"][0], 0) :] if one["loc"] else ()}
        for one in error.errors
    ]
    return invalid(of_fields(found))


def _of_ninja(error: HttpError) -> Problem:
    # It wraps whatever reading the body raised.
    if isinstance(error.__cause__, Problem):
        return error.__cause__
    if isinstance(error.__cause__, RequestDataTooBig):
        return _too_big(error.__cause__)
    return Problem(error.status_code, "bad_request", str(error))


def _too_big(_error: RequestDataTooBig) -> Problem:
    return Problem(
        413,
        "too_large",
        "the body is larger than a request may be; send smaller batches, or application/x-ndjson",
    )


def _database_down(error: Exception) -> Problem:
    # Not the caller's doing, but he may send the same again: ids and keys make that safe.
    logger.error("the database failed: %s", error)
    meters.UNAVAILABLE.inc()
    return Problem(
        503,
        "unavailable",
        "the database does not answer; send the same request again",
        headers={"Retry-After": "5"},
    )
