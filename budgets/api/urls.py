"""Where the api lives. It asks for a key and not for a signed-in person; its description is public."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from budgets.api import problems, spend, streams
from budgets.api.auth import Bearer, allow
from budgets.api.v1 import api

View = Callable[..., HttpResponseBase]


def streamed(view: View) -> View:
    """Take streams out before django-ninja reads them into memory; leave the rest to `view`."""

    def either(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" or request.content_type != spend.NDJSON:
            return view(request, *args, **kwargs)
        try:
            principal = Bearer()(request)
            if principal is None:
                return problems.answer(problems.unauthorized())
            allow(principal, "spend:write")
            return streams.post(request, principal)
        except Exception as error:  # noqa: BLE001  # as django-ninja does; raised again if it is ours
            return api.on_exception(request, error)

    return either


def for_programs(view: View) -> View:
    """Ask for a key and not for a session; answer a wrong method as any other problem."""

    @login_not_required
    @csrf_exempt
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return problems.answer(problems.encoded())
        response = view(request, *args, **kwargs)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return problems.answer(problems.method_not_allowed(response.headers["Allow"]))
        return response

    return answered


def unknown(_request: HttpRequest, **_kwargs: Any) -> HttpResponseBase:
    """Answer every other address below the api."""
    return problems.answer(problems.not_found("page"))


def _view(pattern: URLPattern) -> View:
    if pattern.name == "post_spend":
        return streamed(pattern.callback)
    # The root is only there to be reversed.
    return unknown if pattern.name == "api-root" else pattern.callback


def _patterns() -> list[URLPattern]:
    found = (pattern for pattern in api.urls[0] if isinstance(pattern, URLPattern))
    return [
        *(path(str(it.pattern), for_programs(_view(it)), name=it.name) for it in found),
        path("<path:rest>", for_programs(unknown)),
    ]


app_name = "api-v1"
urlpatterns = _patterns()
