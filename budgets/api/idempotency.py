"""`Idempotency-Key`: a POST that is sent again is answered again, and does nothing again.

The answer is stored in the transaction that did the work: either both are there or neither. Two
requests with one key at once wait for each other at the key's unique row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from budgets.api.auth import principal_of
from budgets.api.problems import Problem
from budgets.services import answers
from budgets.services.answers import Stored
from budgets.services.ingestion import unfit_text

LONGEST = 255
KEPT = timedelta(hours=24)
"""How long an answer can be asked for again; as Stripe does."""


def idempotent(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Honour the request's Idempotency-Key, if it has one."""

    @wraps(view)
    def once(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return view(request, *args, **kwargs)
        if problem := unfit_text(key, LONGEST):
            raise Problem(400, "invalid_idempotency_key", f"Idempotency-Key: {problem}")
        return _once(request, key, timezone.now(), lambda: view(request, *args, **kwargs))

    return once


def _once(
    request: HttpRequest, key: str, now: datetime, work: Callable[[], HttpResponse]
) -> HttpResponse:
    def done() -> Stored:
        response = work()
        return Stored(response.status_code, response.content.decode(), response["Content-Type"])

    said = f"{request.method} {request.get_full_path()}\n".encode() + request.body
    stored, is_new = answers.once(
        principal_of(request).key_id,
        key,
        hashlib.sha256(said).hexdigest(),
        done,
        now=now,
        until=now + KEPT,
    )
    if stored is None:
        raise Problem(
            422,
            "idempotency_key_reused",
            "this Idempotency-Key came with another request before; use a new one for each request",
        )
    response = HttpResponse(stored.body, status=stored.status, content_type=stored.content_type)
    if not is_new:
        response["Idempotent-Replayed"] = "true"
    return response
