"""`POST /spend` as `application/x-ndjson`: an event a line, of any length, in constant memory.

Batch after batch is recorded as it arrives; a line's answer is kept in a temporary file until all is
read, because most clients do not read before they have sent everything. A stream that breaks off has
recorded what came before: send it again, ids make that safe.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from pydantic import ValidationError

from budgets.api import bodies
from budgets.api.problems import FieldError, Problem, invalid, of_fields
from budgets.api.schemas import Event
from budgets.api.spend import NDJSON, merged, record, source_of, written
from budgets.services.ingestion import Answer, Receipt, Result, rejected
from budgets.services.keys import Principal
from budgets.services.tally import Moved, chunked

BATCH = 1000
LONGEST_LINE = 64 * 1024
CHUNK = 64 * 1024
IN_MEMORY = 1024 * 1024
"""Bytes of answers that are kept in memory; more go to the disk."""


class _Answers(tempfile.SpooledTemporaryFile[bytes]):
    """What is answered, until it is sent: read in pieces, not line by line; closed by the response."""

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK):
            yield chunk


@dataclass(slots=True)
class _Totals(Moved):
    """The last line of the answer."""

    counts: dict[str, int] = field(default_factory=lambda: {answer.value: 0 for answer in Answer})

    def take(self, receipt: Receipt) -> None:
        """Add a batch."""
        for answer in Answer:
            self.counts[answer.value] += receipt.count(answer)
        self.move(receipt)


def post(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """Record a stream; answer a line for each of its lines, and a last one with the totals."""
    if "source" not in request.GET:
        raise invalid([FieldError("source", "missing", "say who reports: ?source=google_ads")])
    source = source_of(request.GET["source"])
    lines = _lines(_body(request))
    answers = _Answers(max_size=IN_MEMORY)
    try:
        _answer(lines, source, principal, answers)
    except BaseException:
        answers.close()
        raise
    answers.seek(0)
    return StreamingHttpResponse(answers, content_type=NDJSON)


def _answer(lines: Iterator[bytes], source: str, principal: Principal, answers: IO[bytes]) -> None:
    """Record the lines; write the answers to them."""
    totals = _Totals()
    for batch in chunked(lines, BATCH):
        receipt, ids = _record(batch, source, principal)
        totals.take(receipt)
        for result in written(receipt, ids)["results"]:
            answers.write(json.dumps(result).encode() + b"\n")
    last = {
        "totals": totals.counts,
        "paused": sorted(totals.paused),
        "resumed": sorted(totals.resumed),
    }
    answers.write(json.dumps(last).encode() + b"\n")


def _record(
    lines: list[bytes], source: str, principal: Principal
) -> tuple[Receipt, list[str | None]]:
    parsed = [_event(line) for line in lines]
    now = timezone.now()
    receipt = merged(parsed, lambda events: record(events, source, principal, now))
    return receipt, [event.id if isinstance(event, Event) else None for event in parsed]


def _event(line: bytes) -> Event | Result:
    if len(line) > LONGEST_LINE:
        return rejected("too_large", "", f"the line is longer than {LONGEST_LINE} bytes")
    try:
        return Event.model_validate(bodies.parse(line))
    except Problem as problem:
        return rejected(problem.code, "", problem.detail)
    except ValidationError as error:
        first = of_fields(error.errors(include_url=False))[0]
        words = f"{first.field}: {first.message}"
        return rejected(first.code, first.field, words)


def _body(request: HttpRequest) -> Any:
    if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return request
    # Of a chunked body Django reads nothing, because its length is not known; the server knows its
    # end. One that does not would be read from until the caller hangs up.
    if not request.META.get("wsgi.input_terminated"):
        raise Problem(411, "length_required", "this server needs the stream's Content-Length")
    return request.META["wsgi.input"]


def _lines(body: Any) -> Iterator[bytes]:
    """Yield the lines that are not empty; of one that is too long, as much as shows that it is."""
    rest = b""
    while chunk := _read(body):
        *complete, rest = (rest + chunk).split(b"\n")
        yield from (line for line in complete if line.strip())
        rest = rest[: LONGEST_LINE + 1]
    if rest.strip():
        yield rest


def _read(body: Any) -> bytes:
    try:
        chunk: bytes = body.read(CHUNK)
    except Exception:  # noqa: BLE001  # each server has its own for chunks that are none
        # Or the caller hung up. What came before is recorded.
        raise Problem(
            400,
            "stream_broken",
            "the stream broke off; what came before is recorded, send it again",
        ) from None
    return chunk
