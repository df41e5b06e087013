"""Where the api lives. It asks for a key and not for a signed-in person; its description is public."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from budgets.api import problems, streams
from budgets.api.auth import Bearer
from budgets.api.problems import Problem
from budgets.api.v1 import api

View = Callable[..., HttpResponseBase]


def streamed(view: View) -> View:
    """Take streams out before django-ninja reads them into memory; leave the rest to `view`."""

    @csrf_exempt
    def either(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST" or request.content_type != streams.MEDIA_TYPE:
            return view(request, *args, **kwargs)
        try:
            principal = Bearer()(request)
            if principal is None:
                raise problems.unauthorized()
            return streams.post(request, principal)
        except Problem as problem:
            return problems.answer(problem)

    return either


def _patterns() -> list[URLPattern]:
    patterns: list[URLPattern] = []
    for pattern in api.urls[0]:
        view = pattern.callback
        if pattern.name == "post_spend":
            view = streamed(view)
        patterns.append(path(str(pattern.pattern), login_not_required(view), name=pattern.name))
    return patterns


app_name = "api-v1"
urlpatterns = _patterns()
