"""The doors of health."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from budgets.models import PassRecord
from budgets.services import webhooks
from budgets.services.passes import CHECK_AND_PAUSE
from budgets.tests.builders import make_webhook
from budgets.tests.health.conftest import NOW
from django_celery_budget.celery import app

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

LATE = NOW + timedelta(minutes=4)


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("ana", is_staff=True))
    return client


def get(client: Client, moment: datetime, **headers: str) -> Response:
    with time_machine.travel(moment, tick=False):
        return client.get("/health/", headers=headers)


@pytest.mark.usefixtures("all_is_well")
class TestVerdict:
    def test_everything_works(self, client: Client) -> None:
        response = get(client, NOW, accept="application/json")

        assert response.status_code == 200
        assert response.json() == {"status": "ok"}
        assert response["Cache-Control"] == "no-store"

    def test_stopped_passes_are_503_with_one_word_for_anonymous_callers(
        self, client: Client
    ) -> None:
        response = get(client, LATE, accept="application/json")

        assert response.status_code == 503
        assert response.json() == {"status": "degraded"}

    def test_a_broker_that_is_down_is_503(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")

        assert get(client, NOW, accept="application/json").status_code == 503

    def test_receivers_that_nobody_tells_are_503(self, client: Client) -> None:
        endpoint, _ = make_webhook(now=NOW)
        webhooks.test(endpoint, now=NOW - timedelta(minutes=15))

        assert get(client, NOW).status_code == 503

    def test_anonymous_people_see_one_word(self, client: Client) -> None:
        fine, bad = get(client, NOW, accept="text/html"), get(client, LATE, accept="text/html")

        assert (fine.status_code, bad.status_code) == (200, 503)
        assert '<h1 class="word ok">ok</h1>' in fine.text
        assert '<h1 class="word degraded">degraded</h1>' in bad.text
        assert "Beat" not in bad.text

    def test_people_who_are_not_staff_see_one_word(self, client: Client) -> None:
        client.force_login(User.objects.create_user("visitor"))

        assert get(client, LATE, accept="application/json").json() == {"status": "degraded"}

    def test_staff_see_every_part_as_a_page(self, staff: Client) -> None:
        response = get(staff, LATE, accept="text/html")

        assert response.status_code == 503
        assert "Degraded: passes, worker, beat" in response.text
        assert "Start beat: celery -A django_celery_budget beat" in response.text

    def test_staff_see_every_part_as_json(self, staff: Client) -> None:
        answer = get(staff, LATE, accept="application/json").json()

        assert answer["status"] == "degraded"
        assert answer["checks"]["database"]["status"] == "ok"
        assert answer["checks"]["passes"]["status"] == "fail"
        assert answer["checks"]["passes"]["value"]["check_and_pause_campaigns"] == {
            "age_seconds": 240.0,
            "red_after_seconds": 180.0,
            "counts": PassRecord.objects.get(name=CHECK_AND_PAUSE).counts,
        }

    def test_the_refreshing_part_of_the_page_is_200_so_that_it_is_shown(
        self, staff: Client
    ) -> None:
        response = get(staff, LATE, accept="text/html", hx_request="true")

        assert response.status_code == 200
        assert response.text.startswith('<div data-summary="Health: degraded."')

    @pytest.mark.parametrize(
        ("query", "accept", "kind"),
        [
            ("", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
            ("", "*/*", "text/html"),
            ("", "application/json", "application/json"),
            ("", "text/plain", "text/html"),
            ("?format=json", "text/html", "application/json"),
            ("?format=html", "application/json", "text/html"),
        ],
    )
    def test_the_caller_chooses_between_page_and_json(
        self, client: Client, query: str, accept: str, kind: str
    ) -> None:
        response = client.get(f"/health/{query}", headers={"accept": accept})

        assert response["Content-Type"].partition(";")[0] == kind

    def test_head_works_and_post_does_not(self, client: Client) -> None:
        with time_machine.travel(NOW, tick=False):
            head = client.head("/health/")

        assert (head.status_code, head.content) == (200, b"")
        assert client.post("/health/").status_code == 405

    def test_the_address_without_its_slash_leads_there(self, client: Client) -> None:
        assert client.get("/health")["Location"] == "/health/"

    def test_no_words_hold_a_secret(self, staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(app.conf, "broker_url", "redis://:secret-word@127.0.0.1:1/0")

        response = get(staff, LATE, accept="text/html")

        assert "secret-word" not in response.text
        assert str(connection.settings_dict["NAME"]) not in response.text


class TestBrokenDatabase:
    pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

    def test_it_is_503_for_anonymous_callers(self, client: Client, broken_database: None) -> None:
        response = client.get("/health/", headers={"accept": "application/json"})

        assert response.status_code == 503
        assert response.json() == {"status": "degraded"}

    @pytest.mark.parametrize("accept", ["application/json", "text/html"])
    def test_it_is_503_for_people_whose_session_cannot_be_read(
        self, client: Client, request: pytest.FixtureRequest, accept: str
    ) -> None:
        client.force_login(User.objects.create_superuser("ana"))
        request.getfixturevalue("broken_database")

        response = client.get("/health/", headers={"accept": accept})

        assert response.status_code == 503
        assert "degraded" in response.text

    def test_a_database_without_our_tables_is_503_in_words(self, client: Client) -> None:
        client.force_login(User.objects.create_superuser("ana"))
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE budgets_passrecord RENAME TO elsewhere")
        try:
            response = client.get("/health/?format=json")
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE elsewhere RENAME TO budgets_passrecord")

        assert response.status_code == 503
        assert response.json()["checks"]["database"]["status"] == "ok"
        assert "refuses the question" in response.json()["checks"]["passes"]["words"]

    def test_the_process_is_alive_all_the_same(self, client: Client, broken_database: None) -> None:
        assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/live/"])
def test_alive_asks_neither_database_nor_broker(
    staff: Client,
    path: str,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")

    with django_assert_num_queries(0):
        response = staff.get(path)

    assert (response.status_code, response.text) == (200, "ok")
    assert response["Cache-Control"] == "no-store"


def test_alive_answers_head(client: Client) -> None:
    assert client.head("/health/live").status_code == 200
