"""Who may pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import middleware
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
