"""Signing in: whose wrong passwords are counted, and what those are told who sent too many."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from budgets.core.durations import in_words

PREFIX_OF_A_HOUSEHOLD = 64
"""Bits of an IPv6 address that a provider gives one customer, who then has 2^64 of them."""

UNKNOWN = "0.0.0.0"  # noqa: S104  # no place to listen at
"""Where everybody comes from whose address nobody knows, as through a socket of the file system."""


def client_address(request: HttpRequest) -> str:
    """Return the address a request came from, of IPv6 the network.

    Behind `TRUSTED_PROXIES` proxies each of which appends the address it was asked from, it is the one
    that the outermost of them appended. What a client writes itself stands before it, and counts for
    nothing.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    proxies: int = settings.TRUSTED_PROXIES
    named = request.headers.get("X-Forwarded-For", "").split(",") if proxies else []
    said = named[-proxies].strip() if len(named) >= proxies > 0 else ""
    return _network(said) or _network(peer) or UNKNOWN


def locked_out(
    request: HttpRequest, _answer: HttpResponse | None, _credentials: dict[str, Any] | None
) -> HttpResponse:
    """Answer who sent too many wrong passwords; the right one is not looked at either."""
    pause: timedelta = settings.AXES_COOLOFF_TIME
    words = {"pause": in_words(pause), "tries": settings.AXES_FAILURE_LIMIT}
    return HttpResponse(
        render_to_string("locked_out.html", words, request),
        status=429,
        headers={"Retry-After": str(int(pause.total_seconds()))},
    )


def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        network = ipaddress.ip_network((address, PREFIX_OF_A_HOUSEHOLD), strict=False)
        return str(network.network_address)
    return str(address)
