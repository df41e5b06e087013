"""Who may pass, what a page may do in a browser, and by which name the log knows a request."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth import middleware
from django.core.signals import request_finished
from django.db import connection
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django_htmx.http import HttpResponseClientRedirect


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """Ask who it is only where that matters.

    Django's asks before it looks whether the page is for everybody; that reads the session from the
    database, so that health would fail together with what it is to report.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Let pages that are `login_not_required` through; else do as Django does.

        A page is led to the form to sign in as a whole, also when a part of it asked.
        """
        if not getattr(view_func, "login_required", True):
            return None
        answer = super().process_view(request, view_func, view_args, view_kwargs)
        if isinstance(answer, HttpResponseRedirect) and request.headers.get("HX-Request"):
            return HttpResponseClientRedirect(answer.url)
        return answer


# From this site only, and nothing inline: a name that got through escaping would still be inert.
STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# The admin's look is made of Alpine.js, which evaluates attributes, and of inline styles.
ADMIN_POLICY = STRICT_POLICY.replace(
    "script-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'"
).replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Tell browsers what a page may load and run. Django brings this itself from 6.0 on."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        is_admins = request.path_info.startswith("/admin/")
        response["Content-Security-Policy"] = ADMIN_POLICY if is_admins else STRICT_POLICY
        return response

    return answer


SILENCE = 1.0
"""Seconds after which a kept connection is asked again whether it lives."""


class KeptConnectionMiddleware:
    """Spare a connection that was asked a moment ago the question whether it lives.

    CONN_HEALTH_CHECKS asks before every request, a tenth of the questions of recording one event. A
    connection that dies within the second fails one request, as one that dies in the middle of it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._asked = threading.local()  # like the connections

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        now = time.monotonic()
        spared = now - getattr(self._asked, "at", now - SILENCE) < SILENCE
        if spared and not connection.errors_occurred:
            connection.health_check_done = True  # type: ignore[attr-defined]  # not in the stubs
            return self.get_response(request)
        response = self.get_response(request)
        if connection.health_check_done:  # type: ignore[attr-defined]  # as above
            self._asked.at = now
        return response


SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a caller may name its request: it is written to the log as it is."""


def request_id(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Name the request in every line of the log that it causes, and in the answer.

    By the caller's `X-Request-ID` if it is one, so that one name goes through several systems.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        name = given if SANE_ID.fullmatch(given) else secrets.token_hex(16)
        structlog.contextvars.bind_contextvars(request_id=name)
        response = get_response(request)
        response["X-Request-ID"] = name
        return response

    return answer


def forget_request(**_: Any) -> None:
    """Leave no name to what the thread does next. A stream is still being sent until then."""
    structlog.contextvars.clear_contextvars()


request_finished.connect(forget_request, dispatch_uid="forget_request")
