"""A signed-in administrator at a fixed instant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.contrib.messages import get_messages
from django.http import HttpResponseBase

from budgets.tests.builders import NOW

HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>{{ 7*7 }}'"


@pytest.fixture(autouse=True)
def _at_now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def told(response: Any) -> list[str]:
    """Return what the page said above its content."""
    return [str(message) for message in get_messages(response.wsgi_request)]


def errors(response: Any) -> dict[str, list[str]]:
    """Return the errors of the page's form."""
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return {field: list(words) for field, words in found.items()}


def html(response: HttpResponseBase) -> str:
    """Return the page, which must have been shown."""
    assert response.status_code == 200, response
    return str(getattr(response, "text"))  # noqa: B009  # the client's answer has it
