"""Who asks: the key in `Authorization: Bearer …`, and what it may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from budgets.api import limits
from budgets.api.problems import Problem
from budgets.services import keys
from budgets.services.keys import Principal


class Bearer(HttpBearer):
    """Accept a valid key and take the request from its allowance."""

    def __call__(self, request: HttpRequest) -> Principal | None:
        """Return whose key the request shows. Ninja's own writes what it does not know into the log."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.authenticate(request, token) if scheme.lower() == "bearer" else None

    def authenticate(self, request: HttpRequest, token: str) -> Principal | None:
        """Return whose key it is; ``None`` is answered with 401."""
        principal = keys.authenticate(token, now=timezone.now())
        if principal is not None:
            limits.spend_one(principal.key_id)
        return principal


def principal_of(request: HttpRequest) -> Principal:
    """Return whose key the request came with."""
    principal: Principal = request.auth  # type: ignore[attr-defined]  # django-ninja puts it there
    return principal


def allow(principal: Principal, scope: str) -> None:
    """Raise 403 unless the key has `scope`."""
    if not principal.may(scope):
        raise Problem(
            403,
            "scope_missing",
            f"this key lacks the scope {scope!r}; an administrator can create one with it",
        )


def requires(scope: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let only keys with `scope` call a router's function."""

    def guard(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            allow(principal_of(request), scope)
            return view(request, *args, **kwargs)

        guarded.scope = scope  # type: ignore[attr-defined]  # the api's description tells it
        return guarded

    return guard
