"""The entries of beat: written once, then people's; and how the pages read them."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from budgets.tests.builders import NOW
from django_celery_budget import schedule

pytestmark = pytest.mark.django_db

CHECK = "check_and_pause_campaigns"
RESET = "reset_daily_monthly_spend"
DELIVER = "deliver_webhooks"
RAISE = "raise_alerts"
SEND = "send_alerts"

migration = import_module("budgets.migrations.0002_beat_schedule")
webhooks = import_module("budgets.migrations.0008_webhooks")
alerts = import_module("budgets.migrations.0015_alerts")


def migrate() -> None:
    migration.create(apps, connection.schema_editor(atomic=False))


def entry(task: str) -> PeriodicTask:
    return PeriodicTask.objects.get(task=f"budgets.tasks.{task}")


def of_passes() -> Any:
    """Return the entries that the first of the two migrations writes."""
    others = [f"budgets.tasks.{task}" for task in (DELIVER, RAISE, SEND)]
    return PeriodicTask.objects.exclude(task__in=others).order_by("pk")


def every(count: int, period: str = "seconds") -> IntervalSchedule:
    return IntervalSchedule.objects.create(every=count, period=period)


class TestMigration:
    def test_both_tasks_run_every_minute_without_regard_to_a_calendar(self) -> None:
        entries = of_passes()

        assert {row.task for row in entries} == {f"budgets.tasks.{CHECK}", f"budgets.tasks.{RESET}"}
        for row in entries:
            assert row.enabled
            assert row.schedule.run_every == timedelta(seconds=60)
            assert (row.crontab, row.solar, row.clocked) == (None, None, None)
            assert (row.one_off, row.start_time, row.args, row.kwargs) == (False, None, "[]", "{}")
            assert row.description
        assert settings.CELERY_TIMEZONE == "UTC"

    def test_a_stalled_worker_does_not_wake_to_a_thousand_ticks(self) -> None:
        for row in of_passes():
            assert 120 <= row.expire_seconds <= 180

    def test_webhooks_are_looked_for_every_few_seconds(self) -> None:
        row = entry(DELIVER)

        assert row.enabled
        assert row.schedule.run_every == timedelta(seconds=5)
        assert row.expire_seconds == 12

    def test_alerts_are_looked_for_every_minute_and_sent_four_times_as_often(self) -> None:
        for task, seconds in ((RAISE, 60), (SEND, 15)):
            row = entry(task)
            assert row.enabled
            assert row.schedule.run_every == timedelta(seconds=seconds)
            assert 2 * seconds <= row.expire_seconds <= 3 * seconds

    def test_written_twice_there_are_no_more(self) -> None:
        before = list(PeriodicTask.objects.order_by("pk").values())
        intervals = IntervalSchedule.objects.count()

        migrate()
        webhooks.create_entry(apps, connection.schema_editor(atomic=False))
        alerts.create_entries(apps, connection.schema_editor(atomic=False))

        assert list(PeriodicTask.objects.order_by("pk").values()) == before
        assert IntervalSchedule.objects.count() == intervals

    def test_an_edit_survives(self) -> None:
        row = entry(CHECK)
        row.interval, row.enabled, row.expire_seconds = every(5, "minutes"), False, 900
        row.save()

        migrate()

        row.refresh_from_db()
        assert row.schedule.run_every == timedelta(minutes=5)
        assert (row.enabled, row.expire_seconds) == (False, 900)

    def test_a_deletion_survives_since_the_migration_is_applied_once(self) -> None:
        from django.core.management import call_command

        entry(RESET).delete()

        call_command("migrate", verbosity=0)

        assert [row.task for row in of_passes()] == [f"budgets.tasks.{CHECK}"]

    def test_several_intervals_of_a_minute_are_no_obstacle(self) -> None:
        entry(RESET).delete()
        every(60)

        migrate()

        assert entry(RESET).interval == IntervalSchedule.objects.order_by("pk")[0]

    def test_a_running_beat_is_told_to_read_the_table_again(self) -> None:
        PeriodicTasks.objects.update(last_update=NOW)

        migrate()

        assert PeriodicTasks.last_change() > NOW

    def test_undone_it_takes_its_entries_and_leaves_those_of_others(self) -> None:
        PeriodicTask.objects.create(name="Another", task="budgets.tasks.another", interval=every(9))

        migration.remove(apps, connection.schema_editor(atomic=False))
        webhooks.remove_entry(apps, connection.schema_editor(atomic=False))
        alerts.remove_entries(apps, connection.schema_editor(atomic=False))

        assert [row.name for row in PeriodicTask.objects.all()] == ["Another"]


class TestReading:
    def test_each_task_has_its_entry_by_short_name(self) -> None:
        PeriodicTask.objects.create(name="Another", task="elsewhere.tasks.check", interval=every(9))

        found = schedule.entries()

        assert set(found) == {CHECK, RESET, DELIVER, RAISE, SEND}
        assert found[CHECK].name == "Check and pause campaigns"
        assert found[CHECK].is_enabled
        assert found[CHECK].interval == timedelta(seconds=60)
        assert found[CHECK].patience == timedelta(seconds=180)

    def test_of_several_entries_the_most_frequent_counts(self) -> None:
        for name, interval in (("Slow", every(1, "hours")), ("Fast", every(5))):
            task = f"budgets.tasks.{CHECK}"
            PeriodicTask.objects.create(name=name, task=task, interval=interval)

        assert schedule.entries()[CHECK].name == "Fast"

    def test_an_entry_that_is_off_counts_only_when_none_is_on(self) -> None:
        task = f"budgets.tasks.{CHECK}"
        PeriodicTask.objects.create(name="Fast", task=task, interval=every(5), enabled=False)
        assert schedule.entries()[CHECK].name == "Check and pause campaigns"

        PeriodicTask.objects.filter(name="Check and pause campaigns").update(enabled=False)
        assert schedule.entries()[CHECK].name == "Fast"
        assert not schedule.entries()[CHECK].is_enabled

    def test_silence_begins_with_the_last_run_or_else_with_the_last_edit(self) -> None:
        PeriodicTask.objects.update(date_changed=NOW, last_run_at=None)
        assert schedule.entries()[CHECK].silence(NOW + timedelta(seconds=9)).seconds == 9

        PeriodicTask.objects.update(last_run_at=NOW + timedelta(seconds=5))
        assert schedule.entries()[CHECK].silence(NOW + timedelta(seconds=9)).seconds == 4

    def test_a_task_without_an_entry_may_stay_away_for_three_minutes(self) -> None:
        PeriodicTask.objects.filter(task__endswith=CHECK).update(interval=every(5))
        entry(RESET).delete()
        found = schedule.entries()

        assert schedule.patience(found, CHECK) == timedelta(seconds=15)
        assert schedule.patience(found, RESET) == timedelta(minutes=3)

    def test_an_entry_that_is_no_interval_counts_as_one_of_a_minute(self) -> None:
        from django_celery_beat.models import CrontabSchedule

        crontab = CrontabSchedule.objects.create(hour="4")
        entry(CHECK).delete()
        PeriodicTask.objects.create(name="Nightly", task=f"budgets.tasks.{CHECK}", crontab=crontab)

        assert schedule.entries()[CHECK].interval == timedelta(seconds=60)
