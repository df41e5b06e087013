"""Pages whose middle asks its own address again, every few seconds, and is swapped for the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers

REFRESH_SECONDS = 5


def draw(request: HttpRequest, folder: str, context: Mapping[str, Any]) -> HttpResponse:
    """Draw a page from the templates of `folder`: `page.html`, or the `_live.html` in it alone."""
    name = "_live.html" if request.headers.get("HX-Request") else "page.html"
    shown = {"refresh_seconds": REFRESH_SECONDS, "address": request.get_full_path(), **context}
    response = render(request, f"{folder}/{name}", shown)
    add_never_cache_headers(response)
    patch_vary_headers(response, ("HX-Request",))
    return response
