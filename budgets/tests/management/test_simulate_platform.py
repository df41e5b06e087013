"""The simulated platform reports like a real one, and budgets are reached."""

from __future__ import annotations

import io
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from budgets.management import demo
from budgets.management.platform import NoDemo, Platform
from budgets.models import Brand, Campaign, Spend, StatusChange
from budgets.services import editing, passes, reconciliation
from budgets.tests.builders import NOW, make_brand, make_campaign, spend

pytestmark = pytest.mark.django_db

EVERY = "0.01"


@pytest.fixture
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def agency(clock: None) -> None:
    demo.load(NOW)


def run(*options: str) -> list[str]:
    said = io.StringIO()
    call_command("simulate_platform", "--every", EVERY, *options, stdout=said)
    return said.getvalue().splitlines()


def rounds(count: int, seconds: float = 3, start: datetime = NOW, dice: int = 1) -> list[str]:
    """Let a platform report `count` rounds; return what it says."""
    platform = Platform(demo.SOURCE, "test", random.Random(dice))
    return [
        platform.round(seconds, start + n * timedelta(seconds=seconds)).text() for n in range(count)
    ]


def test_several_brands_reach_a_budget_within_a_minute(agency: None) -> None:
    said = rounds(20)

    paused = [line for line in said if "brand's daily budget reached" in line]
    assert any("of Alpenglow Outdoor (brand's daily budget reached)" in line for line in paused)
    assert any("of Bluebird Airways (brand's daily budget reached)" in line for line in paused)
    changes = StatusChange.objects.filter(hold="brand_daily_budget", cause="spend")
    assert changes.values("campaign__brand").distinct().count() >= 2
    assert reconciliation.check() == []


def test_something_happens_in_every_hour_of_the_next_six(agency: None) -> None:
    platform = Platform(demo.SOURCE, "test", random.Random(1))
    changes = []
    for hour in range(6):
        before = StatusChange.objects.count()
        for minute in range(0, 60, 2):
            now = NOW + timedelta(hours=hour, minutes=minute)
            passes.check_and_pause(now)
            platform.round(120, now)
        changes.append(StatusChange.objects.count() - before)

    assert all(changes), changes
    assert reconciliation.check() == []


def test_reports_for_campaigns_that_are_active(agency: None) -> None:
    quiet = Campaign.objects.held()
    held = set(quiet.values_list("pk", flat=True))

    rounds(1)

    reported = set(Spend.objects.filter(source="demo-platform").values_list("campaign", flat=True))
    assert reported
    assert not reported & held


def test_a_campaign_that_was_just_paused_may_have_news(agency: None) -> None:
    rounds(80, seconds=30, dice=2)

    paused_at = {
        change.campaign_id: change.at
        for change in StatusChange.objects.filter(hold="brand_daily_budget").order_by("pk")
    }
    late = [
        row
        for row in Spend.objects.filter(source="demo-platform", campaign__in=paused_at)
        if row.occurred_at is not None and row.occurred_at > paused_at[row.campaign_id]
    ]
    assert late
    assert Spend.objects.filter(source="demo-platform", amount__lt=0).exists()
    assert reconciliation.check() == []


def test_other_brands_are_left_alone(agency: None) -> None:
    other = make_campaign(make_brand(daily_budget=1))
    spend(other, "0.5", source="their platform")

    rounds(3)

    assert Spend.objects.filter(campaign=other).count() == 1


def test_a_raised_budget_sets_the_pace_anew(agency: None) -> None:
    platform = Platform(demo.SOURCE, "test", random.Random(1))
    for n in range(12):
        platform.round(3, NOW + timedelta(seconds=3 * n))
    brand = Brand.objects.get(name="Alpenglow Outdoor")
    assert not brand.campaigns.filter(is_active=True).exists()

    brand.daily_budget = Decimal(10_000)
    editing.save(brand, by="Dana", now=NOW)
    assert brand.campaigns.filter(is_active=True).exists()

    for n in range(12, 24):
        platform.round(3, NOW + timedelta(seconds=3 * n))
    assert not brand.campaigns.filter(is_active=True).exists()


def test_reports_of_two_runs_differ(agency: None) -> None:
    run("--once", "--every", "30")
    run("--once", "--every", "30")

    ids = Spend.objects.filter(source="demo-platform").values_list("external_id", flat=True)
    assert len({key.split("-")[0] for key in ids if key}) == 2
    assert None not in ids


def test_prints_a_line_a_round(agency: None) -> None:
    said = run("--rounds", "3")

    assert len(said) == 3
    assert all(line.startswith("15:00:00 ") for line in said)


def test_says_when_there_is_no_demo() -> None:
    spend(make_campaign(), 5)

    assert run() == ["There is no demo data to report spend for."]
    with pytest.raises(NoDemo):
        rounds(1)


def test_waits_for_a_database_that_fails_and_goes_on(
    clock: None, transactional_db: None, django_db_serialized_rollback: None
) -> None:
    demo.load(NOW)
    failed: list[str] = []

    def fail_once(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if "INSERT INTO" in sql and not failed:
            failed.append(sql)
            raise OperationalError("could not\nwrite")
        return execute(sql, *args)

    with connection.execute_wrapper(fail_once):
        said = run("--once", "--every", "1")

    assert said[0] == ("the database does not take reports (could not write); trying again in 1 s")
    assert len(said) == 2
    assert " reports, " in said[1]


def test_a_name_cannot_forge_a_line(clock: None) -> None:
    campaign = make_campaign(make_brand(name="x\n00:00:00 paused:", daily_budget=2))
    spend(campaign, 1, source=demo.SOURCE)

    (said,) = run("--once", "--every", "60")

    assert "paused: " in said
    assert "of x\ufffd00:00:00" in said


@pytest.mark.parametrize("value", ["0", "-1", "nan", "soon"])
def test_refuses_a_pace_that_cannot_be_meant(value: str) -> None:
    with pytest.raises(CommandError, match="not a number of seconds"):
        call_command("simulate_platform", f"--every={value}")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ends_when_asked(agency: None, name: str) -> None:
    class Output(io.StringIO):
        """Asks to stop when the first line is out, in the middle of the wait."""

        asked = False

        def flush(self) -> None:
            if not self.asked:
                self.asked = True
                threading.Timer(0.05, os.kill, (os.getpid(), getattr(signal, name))).start()

    said = Output()
    before = signal.getsignal(getattr(signal, name))

    call_command("simulate_platform", "--every", "60", stdout=said)

    assert said.getvalue().splitlines()[-1] == "Stopped."
    assert signal.getsignal(getattr(signal, name)) is before
