"""Who may pass: a page is private unless its view says otherwise."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from budgets.tests.overhearing import overhearing
from django_celery_budget import middleware

FOR_EVERYBODY = {"/health/", "/health/live", "/health/live/", "/admin/login/", "/metrics"}
API = "/api/v1/"
DESCRIBES_THE_API = {f"{API}docs", f"{API}openapi.json"}


def pages(place: URLResolver, path: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """Yield every page with its path."""
    for found in place.url_patterns:
        here = f"{path}{found.pattern}"
        if isinstance(found, URLResolver):
            yield from pages(found, here)
        else:
            yield here, found


PAGES = dict(pages(get_resolver()))


def test_only_health_and_sign_in_are_for_everybody() -> None:
    public = {
        path for path, page in PAGES.items() if not getattr(page.callback, "login_required", True)
    }

    assert {path for path in public if not path.startswith(API)} == FOR_EVERYBODY


def test_the_api_asks_for_a_key_but_where_it_is_described(client: Client) -> None:
    paths = {path for path in PAGES if path.startswith(API)} - DESCRIBES_THE_API
    assert len(paths) > 5

    answers = {path: client.get(re.sub("<.*?>", "1", path)).status_code for path in paths}

    # Its root and what it does not know are no secret; where only POST is known, GET is refused.
    assert set(answers.values()) <= {401, 404, 405}
    assert {path for path, status in answers.items() if status == 404} <= {API, f"{API}<path:rest>"}


@pytest.mark.django_db
def test_every_other_page_asks_for_a_signed_in_person(client: Client) -> None:
    private = {path for path in PAGES if path.endswith("/")} - FOR_EVERYBODY - {API}
    asked = {re.sub("<.*?>", "1", path) for path in private}
    assert len(asked) > 10

    passed = {
        path
        for path in asked
        if not client.get(path).headers.get("Location", "").startswith("/admin/login/?next=/")
    }

    assert passed == set()


@pytest.mark.django_db
def test_a_signed_in_person_passes(client: Client) -> None:
    client.force_login(User.objects.create_user("ana"))

    assert client.get("/").status_code == 200


@pytest.mark.django_db
def test_pages_of_ours_may_run_and_show_only_what_this_site_serves(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ana"))

    ours, admins = client.get("/"), client.get("/admin/")

    assert "unsafe" not in ours["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in ours["Content-Security-Policy"]
    for response in (ours, admins):
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


@pytest.mark.django_db
def test_a_kept_connection_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    asked: list[bool] = []

    def answer(_request: HttpRequest) -> HttpResponse:
        asked.append(not connection.health_check_done)  # type: ignore[attr-defined]  # not in the stubs
        connection.health_check_done = True  # type: ignore[attr-defined]  # as the first statement does
        return HttpResponse()

    door = middleware.KeptConnectionMiddleware(answer)
    for moment in (100.0, 100.5, 100.9, 101.0, 101.5):
        clock[0] = moment
        connection.health_check_done = False  # type: ignore[attr-defined]  # as a new request does
        door(HttpRequest())

    assert asked == [True, False, False, True, False]


class TestRequestId:
    def test_every_answer_has_one_of_its_own(self, client: Client) -> None:
        names = {client.get("/health/live")["X-Request-ID"] for _ in range(3)}

        assert len(names) == 3
        assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in names)

    def test_the_callers_is_taken(self, client: Client) -> None:
        given = "01J8Z3-trace_7.a"

        assert client.get("/health/live", headers={"X-Request-ID": given})["X-Request-ID"] == given

    @pytest.mark.parametrize(
        "given", ["", "two words", "x" * 65, 'a"b', "a\nb", "a\x1b[31m", "naïve", "a/b"]
    )
    def test_but_not_what_would_garble_the_log(self, client: Client, given: str) -> None:
        name = client.get("/health/live", headers={"X-Request-ID": given})["X-Request-ID"]

        assert re.fullmatch(r"[0-9a-f]{32}", name)

    @pytest.mark.parametrize("path", [f"{API}nothing", f"{API}changes", "/metrics"])
    def test_refusals_have_one_and_the_log_says_it(self, client: Client, path: str) -> None:
        with overhearing() as heard:
            response = client.get(path, headers={"X-Request-ID": "r-1"})

        assert response.status_code >= 400
        assert response["X-Request-ID"] == "r-1"
        [record] = [it for it in heard.records() if it["logger"] == "django.request"]
        assert record["request_id"] == "r-1"

    def test_what_comes_after_is_not_called_by_it(self, client: Client) -> None:
        client.get("/health/live")

        with overhearing() as heard:
            logging.getLogger("budgets").info("later")

        [record] = heard.records()
        assert "request_id" not in record
