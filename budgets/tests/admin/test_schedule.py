"""The schedule and the people in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu.exceptions import OperationalError

from budgets.tests.admin.conftest import errors, html, told

pytestmark = pytest.mark.django_db

LIST = "/admin/django_celery_beat/periodictask/"


def form(entry: PeriodicTask, **fields: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "regtask": "",
        "task": entry.task,
        "enabled": "on",
        "description": "",
        "interval": entry.interval_id,
        "start_time_0": "",
        "start_time_1": "",
        "args": "[]",
        "kwargs": "{}",
        "expire_seconds": "150",
        "queue": "",
        "priority": "",
        **fields,
    }


def test_an_entry_can_be_slowed_down(ana: Client) -> None:
    entry = PeriodicTask.objects.order_by("pk")[0]
    slower = IntervalSchedule.objects.create(every=5, period="minutes")

    assert entry.name in html(ana.get(LIST))
    assert "check_and_pause_campaigns" in html(ana.get(f"{LIST}{entry.pk}/change/"))
    ana.post(f"{LIST}{entry.pk}/change/", form(entry, interval=slower.pk))

    entry.refresh_from_db()
    assert entry.interval == slower


def test_an_entry_without_an_interval_or_with_broken_arguments_is_refused(ana: Client) -> None:
    entry = PeriodicTask.objects.order_by("pk")[0]

    response = ana.post(f"{LIST}{entry.pk}/change/", form(entry, interval="", kwargs="{"))

    assert errors(response)["interval"] == ["This field is required."]
    assert "Unable to parse JSON" in errors(response)["kwargs"][0]


def test_disabling_and_enabling_report_counts(ana: Client) -> None:
    ids = list(PeriodicTask.objects.values_list("pk", flat=True))

    response = ana.post(LIST, {"action": "disable_tasks", "_selected_action": ids})

    assert told(response) == [f"{len(ids)} tasks were successfully disabled"]
    assert not PeriodicTask.objects.filter(enabled=True).exists()


def test_a_dead_broker_is_told_in_words(ana: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from budgets import tasks

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(tasks.check_and_pause_campaigns, "apply_async", refuse)
    entry = PeriodicTask.objects.get(task="budgets.tasks.check_and_pause_campaigns")

    response = ana.post(LIST, {"action": "run_tasks", "_selected_action": [entry.pk]})

    assert "the broker does not answer" in told(response)[0]


@pytest.mark.parametrize(("every", "period"), [("2147483647", "days"), ("45000", "minutes")])
def test_an_interval_that_no_duration_holds_is_refused(
    ana: Client, every: str, period: str
) -> None:
    path = "/admin/django_celery_beat/intervalschedule/add/"

    response = ana.post(path, {"every": every, "period": period})

    assert errors(response)["every"] == ["31 days are the longest interval."]


def test_other_kinds_of_schedule_are_not_offered(ana: Client) -> None:
    page = html(ana.get("/admin/"))

    assert "intervalschedule" in page
    for kind in ("crontab", "solar", "clocked"):
        assert kind not in page


def test_people_are_added_with_a_password_and_found(ana: Client) -> None:
    ana.post(
        "/admin/auth/user/add/",
        {
            "username": "bo",
            "usable_password": "true",
            "password1": "long-and-odd-7",
            "password2": "long-and-odd-7",
        },
    )

    bo = User.objects.get(username="bo")
    assert bo.check_password("long-and-odd-7")
    assert "bo" in html(ana.get("/admin/auth/user/?q=bo&is_staff__exact=0"))
    assert html(ana.get(f"/admin/auth/user/{bo.pk}/password/"))
