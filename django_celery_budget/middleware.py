"""Who may pass, and what is asked of the database before anybody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth import middleware
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase


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
        """Let pages that are `login_not_required` through; else do as Django does."""
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)


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
