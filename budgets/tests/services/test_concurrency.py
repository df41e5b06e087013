"""Several writers at once, on real databases. Whoever must wait is waited for, never slept for."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, transaction

from budgets.models import Brand, Campaign, Spend, StatusChange
from budgets.services import editing, ingestion, passes, queue, reconciliation
from budgets.services.ingestion import Answer, Receipt
from budgets.services.to_date import ReportedSpend, record_to_date
from budgets.tests.builders import (
    NOW,
    TODAY,
    decided,
    event,
    log,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
    write_spend,
)
from budgets.tests.colleagues import (
    ON_POSTGRESQL,
    WAITING,
    Colleagues,
    asked,
    sessions_of_others,
    until_waiting,
)
from budgets.tests.waiting import PATIENCE, until


@contextmanager
def no_deadlock() -> Iterator[None]:
    """Watch the server's own counter: a deadlock that is tried again succeeds, a second later."""
    counter = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = asked(counter)
    yield
    until(lambda: sessions_of_others() == 0)  # a session reports its numbers when it ends
    assert asked(counter) == before


def assert_log_is_whole() -> None:
    for campaign in Campaign.objects.all():
        changes = log(campaign)
        assert changes[0].old_hold == "undecided"
        assert all(one.hold == other.old_hold for one, other in pairwise(changes))
        assert changes[-1].hold == campaign.hold
    assert reconciliation.check() == []


class TestOnPostgreSQL:
    pytestmark = ON_POSTGRESQL

    def test_eight_writers_lose_nothing_and_the_last_cent_pauses(
        self, colleagues: Colleagues
    ) -> None:
        brand = make_brand(daily_budget="12.00")
        campaigns = [decided(make_campaign(brand)) for _ in range(2)]

        def writer(at: int) -> Callable[[], int]:
            def write() -> int:
                paused = 0
                for number in range(150):
                    receipt = spend(campaigns[number % 2], "0.01", external_id=f"{at}-{number}")
                    assert receipt.count(Answer.RECORDED) == 1
                    paused += len(receipt.paused)
                return paused

            return write

        with no_deadlock():
            paused = colleagues.together(*[writer(at) for at in range(8)])

        assert totals(brand) == (Decimal(12), Decimal(12))
        assert [totals(one) for one in campaigns] == [(Decimal(6), Decimal(6))] * 2
        assert sum(paused) == 2
        for campaign in campaigns:
            assert [change.hold for change in log(campaign)] == ["", "brand_daily_budget"]
        assert_log_is_whole()

    def test_two_reports_that_reach_a_budget_only_together_pause(
        self, colleagues: Colleagues
    ) -> None:
        brand = make_brand(daily_budget=10)
        one, other = (decided(make_campaign(brand)) for _ in range(2))

        with transaction.atomic():
            list(Brand.objects.filter(pk=brand.pk).locked())
            reports = [
                colleagues.start(lambda campaign=campaign: spend(campaign, 6))  # type: ignore[misc]  # mypy cannot infer a default's type
                for campaign in (one, other)
            ]
            until_waiting(2)
        paused = [report.result().paused for report in reports]

        assert sorted(map(len, paused)) == [0, 2]
        assert (state(one), state(other)) == ("brand_daily_budget",) * 2
        assert totals(brand) == (Decimal(12), Decimal(12))

    def test_of_two_who_saw_the_same_one_saves_and_the_other_is_told(
        self, colleagues: Colleagues
    ) -> None:
        brand = decided(make_brand(daily_budget=500))

        def raise_to(budget: int) -> Callable[[], Any]:
            opened = Brand.objects.get(pk=brand.pk)
            opened.daily_budget = Decimal(budget)
            seen = {"daily_budget": Decimal(500), "is_active": True}
            return lambda: editing.save(
                opened, by=str(budget), now=NOW, changed=["daily_budget"], seen=seen
            )

        with transaction.atomic():
            list(Brand.objects.filter(pk=brand.pk).locked())
            editors = [colleagues.start(raise_to(budget)) for budget in (600, 700)]
            until_waiting(2)
        refused = [error for error in (one.exception() for one in editors) if error]

        brand.refresh_from_db()
        assert brand.daily_budget in (600, 700)
        [error] = refused
        assert isinstance(error, editing.ChangedMeanwhile)
        [difference] = error.differences
        assert (difference.seen, difference.found) == (500, brand.daily_budget)

    def test_previews_disturb_neither_spend_nor_passes_and_leave_nothing(
        self, colleagues: Colleagues
    ) -> None:
        brand = make_brand(daily_budget=1000)
        campaigns = [decided(make_campaign(brand)) for _ in range(3)]

        def look() -> int:
            typed = Brand.objects.get(pk=brand.pk)
            typed.daily_budget = Decimal(0)
            looks = [
                editing.preview(typed, by="ann", now=NOW, changed=["daily_budget"])
                for _ in range(20)
            ]
            return sum(len(outcome.paused) for outcome in looks)

        def work() -> int:
            receipts = [spend(campaigns[number % 3], 1) for number in range(40)]
            passes.check_and_pause(NOW)
            return sum(receipt.count(Answer.RECORDED) for receipt in receipts)

        with no_deadlock():
            foreseen, again, recorded = colleagues.together(look, look, work)

        assert (foreseen, again, recorded) == (60, 60, 40)
        assert totals(brand) == (Decimal(40), Decimal(40))
        assert [len(log(one)) for one in campaigns] == [1, 1, 1]
        assert_log_is_whole()

    def test_a_row_that_two_passes_found_is_counted_once(self, colleagues: Colleagues) -> None:
        campaign = decided(make_campaign())
        write_spend(campaign, 7)

        with transaction.atomic():
            list(Brand.objects.locked())
            both = [colleagues.start(lambda: passes.reset(NOW)) for _ in range(2)]
            until_waiting(2)
        counted = [one.result()["counted"] for one in both]

        assert sorted(counted) == [0, 1]
        assert totals(campaign) == totals(campaign.brand) == (Decimal(7), Decimal(7))

    def test_two_passes_at_once_write_each_change_once(self, colleagues: Colleagues) -> None:
        brands = Brand.objects.bulk_create(
            Brand(name=f"Brand {at}", daily_budget=1) for at in range(450)
        )
        campaigns = Campaign.objects.bulk_create(
            Campaign(brand=brand, name=str(at)) for brand in brands for at in range(2)
        )
        rows = Spend.objects.bulk_create(
            Spend(campaign=campaign, date=TODAY, amount=1) for campaign in campaigns[::3]
        )

        with no_deadlock():
            first = colleagues.together(*[lambda: passes.check_and_pause(NOW)] * 2)
            tomorrow = NOW + timedelta(days=1)
            second = colleagues.together(*[lambda: passes.reset(tomorrow)] * 2)

        assert sum(counts["counted"] for counts in first) == len(rows)
        held = Brand.objects.filter(campaigns__status_changes__hold="brand_daily_budget")
        spent = {campaigns[at].brand_id for at in range(0, len(campaigns), 3)}
        assert set(held.values_list("pk", flat=True)) == spent
        assert sum(counts["resumed"] for counts in second) == 2 * len(spent)
        assert StatusChange.objects.count() == len(campaigns) + 2 * len(spent)
        assert not Campaign.objects.held().exists()
        assert_log_is_whole()

    def test_a_full_check_that_waited_decides_on_what_it_finds_then(
        self, colleagues: Colleagues
    ) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=10), allowed_start_hour=16))
        assert state(campaign) == "outside_hours"
        opens = NOW + timedelta(hours=1)

        with transaction.atomic():
            list(Brand.objects.locked())
            check = colleagues.start(lambda: queue.sweep(opens))
            until_waiting(1)
            spend(campaign, 10, now=opens)
        check.result()

        assert state(campaign) == "brand_daily_budget"
        assert [change.hold for change in log(campaign)] == ["outside_hours", "brand_daily_budget"]

    def test_spend_that_comes_while_a_pass_resumes_still_pauses(
        self, colleagues: Colleagues
    ) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=10), allowed_start_hour=16))
        opens = NOW + timedelta(hours=1)

        with transaction.atomic():
            # The pass has read that there is budget left, and cannot write yet.
            list(Campaign.objects.select_for_update())
            one_pass = colleagues.start(lambda: passes.reset(opens))
            until_waiting(1)
            report = colleagues.start(lambda: spend(campaign, 10, now=opens))
            until_waiting(2)
        assert one_pass.result()["resumed"] == 1
        receipt = report.result()

        assert receipt.paused == (campaign.pk,)
        assert state(campaign) == "brand_daily_budget"
        assert_log_is_whole()

    def test_a_switch_thrown_while_a_pass_resumes_wins(self, colleagues: Colleagues) -> None:
        campaign = decided(make_campaign(allowed_start_hour=16))
        opens = NOW + timedelta(hours=1)

        with transaction.atomic():
            list(Campaign.objects.select_for_update())
            one_pass = colleagues.start(lambda: passes.reset(opens))
            until_waiting(1)
            switch = colleagues.start(
                lambda: editing.set_enabled([campaign.pk], False, by="operator", now=opens)
            )
            until_waiting(2)
        one_pass.result()

        assert switch.result() == 1
        assert state(campaign) == "operator"

    def test_a_pass_killed_midway_leaves_no_half_and_the_next_one_finishes(
        self, colleagues: Colleagues
    ) -> None:
        size = queue.BATCH
        brands = [make_brand() for _ in range(size + 5)]
        campaigns = [make_campaign(brand) for brand in brands]
        write_spend(campaigns[-1], 3)

        with transaction.atomic():
            list(Campaign.objects.filter(pk=campaigns[-1].pk).select_for_update())
            one_pass = colleagues.start(lambda: queue.drain(NOW))
            until_waiting(1)
            asked(f"SELECT pg_terminate_backend(pid) {WAITING}")
            error = one_pass.exception(PATIENCE)
        assert isinstance(error, OperationalError)

        undecided = Campaign.objects.filter(hold="undecided")
        assert undecided.count() == 5
        assert StatusChange.objects.count() == size
        assert Brand.objects.due(at=NOW).count() == 5
        counts = passes.reset(NOW)
        assert (counts["counted"], counts["changes"]) == (1, 5)
        assert not undecided.exists()
        assert_log_is_whole()

    @pytest.mark.parametrize("shares_brand", [True, False])
    def test_ids_that_two_batches_bring_in_opposite_order_are_recorded_once(
        self, colleagues: Colleagues, *, shares_brand: bool
    ) -> None:
        one = decided(make_campaign())
        # Of another brand, so that no brand's lock lets one batch wait for the other.
        other = one if shares_brand else decided(make_campaign())
        ids = [f"{number:04}" for number in range(1000)]

        def deliver(campaign: Campaign, order: list[str]) -> Callable[[], list[Answer]]:
            events = [event(campaign, 1, date=TODAY, external_id=key) for key in order]
            return lambda: [
                result.answer
                for result in ingestion.record(events, source="platform", now=NOW).results
            ]

        with no_deadlock():
            answers = colleagues.together(deliver(one, ids), deliver(other, ids[::-1]))

        seen_before = Answer.DUPLICATE if shares_brand else Answer.CONFLICT
        assert sum(each.count(Answer.RECORDED) for each in answers) == len(ids)
        assert sum(each.count(seen_before) for each in answers) == len(ids)
        assert (
            list(Spend.objects.order_by("external_id").values_list("external_id", flat=True)) == ids
        )
        assert reconciliation.check() == []

    @pytest.mark.parametrize("second", [10, 12, 7])
    def test_of_two_reports_of_a_day_at_once_the_last_one_holds(
        self, colleagues: Colleagues, second: int
    ) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=10)))

        def report(amount: int) -> Callable[[], Receipt]:
            row = ReportedSpend(campaign_id=campaign.pk, date=TODAY, spend_to_date=amount)
            return lambda: record_to_date([row], source="platform", now=NOW)

        with transaction.atomic():
            list(Brand.objects.filter(pk=campaign.brand_id).locked())
            one = colleagues.start(report(10))
            until_waiting(1)
            # Whoever waits for a lock gets it in the order of coming.
            other = colleagues.start(report(second))
            until_waiting(2)
        receipts = [one.result(), other.result()]

        assert receipts[0].paused == (campaign.pk,)
        repeats = [receipt.count(Answer.DUPLICATE) for receipt in receipts]
        assert repeats == [0, int(second == 10)]
        amounts = Spend.objects.order_by("pk").values_list("amount", flat=True)
        assert list(amounts) == ([10] if second == 10 else [10, second - 10])
        assert totals(campaign) == totals(campaign.brand) == (second, second)
        assert state(campaign) == ("brand_daily_budget" if second >= 10 else "")
        assert_log_is_whole()

    def test_reports_repeated_by_many_at_once_end_where_all_of_them_ended(
        self, colleagues: Colleagues
    ) -> None:
        campaigns = [decided(make_campaign(make_brand(daily_budget=300))) for _ in range(4)]
        days = [TODAY - timedelta(days=ago) for ago in range(3)]
        said = [2**hour for hour in range(1, 13)]

        def reporter(at: int) -> Callable[[], int]:
            dice = random.Random(at)

            def report() -> int:
                recorded = 0
                for amount in said:
                    rows = [
                        ReportedSpend(campaign_id=one.pk, date=day, spend_to_date=amount)
                        for one in campaigns
                        for day in days
                    ]
                    dice.shuffle(rows)
                    receipt = record_to_date(rows, source="platform", now=NOW)
                    recorded += receipt.count(Answer.RECORDED)
                return recorded

            return report

        with no_deadlock():
            recorded = colleagues.together(*[reporter(at) for at in range(6)])

        assert sum(recorded) == Spend.objects.count()
        for campaign in campaigns:
            assert totals(campaign) == totals(campaign.brand) == (said[-1], 3 * said[-1])
            for day in days:
                rows = Spend.objects.filter(campaign=campaign, date=day).order_by("pk")
                # After every row the day's sum is something that was said, never a difference twice.
                assert set(accumulate(rows.values_list("amount", flat=True))) <= set(said)
        assert_log_is_whole()

    def test_ingestion_passes_and_an_operator_get_along(self, colleagues: Colleagues) -> None:
        # Midnights and opening hours of all of them fall into the hours that follow.
        zones = ["UTC", "Asia/Kolkata", "Australia/Sydney", "Pacific/Chatham", "Europe/Kyiv"]
        brands = [
            make_brand(timezone=zones[at % 5], daily_budget=50 + at, monthly_budget=400)
            for at in range(20)
        ]
        campaigns = [
            make_campaign(brand, allowed_start_hour=at * 5, daily_budget=60)
            for brand in brands
            for at in range(4)
        ]
        passes.check_and_pause(NOW)
        clock = iter(NOW + timedelta(minutes=2 * step) for step in range(100_000))
        turn = threading.Lock()

        def now() -> Any:
            with turn:  # one clock for all, and none of its readings twice
                return next(clock)

        def ingester(at: int) -> Callable[[], int]:
            dice = random.Random(at)

            def report() -> int:
                recorded = 0
                for _ in range(40):
                    instant = now()
                    events = [
                        event(dice.choice(campaigns), dice.randint(-1, 3), occurred_at=instant)
                        for _ in range(25)
                    ]
                    receipt = ingestion.record(events, source=f"platform {at}", now=instant)
                    recorded += receipt.count(Answer.RECORDED)
                return recorded

            return report

        def passer() -> int:
            for _ in range(30):
                passes.check_and_pause(now())
            return 0

        def operator() -> int:
            dice = random.Random(99)
            for _ in range(40):
                some = [campaign.pk for campaign in dice.sample(campaigns, 10)]
                editing.set_enabled(some, dice.random() < 0.6, by="operator", now=now())
                brand = Brand.objects.get(pk=dice.choice(brands).pk)
                brand.daily_budget = Decimal(dice.randint(20, 90))
                editing.save(brand, by="operator", now=now(), changed=["daily_budget"])
            return 0

        with no_deadlock():
            recorded = colleagues.together(
                *[ingester(at) for at in range(4)], passer, passer, operator
            )

        assert sum(recorded) == Spend.objects.count() == 4 * 40 * 25
        end = now()
        passes.check_and_pause(end)
        assert_log_is_whole()
        assert queue.sweep(end).changes == 0
        assert not Campaign.objects.filter(is_active=True, is_enabled=False).exists()


WRITER = """
from datetime import timedelta
from budgets.models import Campaign
from budgets.services import ingestion, passes
from budgets.tests.builders import NOW as now
campaigns = list(Campaign.objects.order_by("pk").values_list("pk", flat=True))
for number in range(60):
    event = ingestion.SpendEvent(campaign_id=campaigns[number % 3], amount="0.1", date=now.date())
    ingestion.record([event], source="process", now=now)
    if number % 10 == 0:
        passes.check_and_pause(now + timedelta(minutes=number))
"""
BEGIN = """
from budgets.models import Brand, Campaign
brand = Brand.objects.create(name="Hot", daily_budget=24)
for name in "abc":
    Campaign.objects.create(brand=brand, name=name)
"""
END = """
from budgets.models import Brand, Campaign, Spend
from budgets.services import reconciliation
brand = Brand.objects.get()
print(brand.total_daily_spend, Spend.objects.count(), len(reconciliation.check()))
print(*Campaign.objects.values_list("hold", flat=True))
"""


def test_four_processes_on_one_sqlite_file_never_meet_a_locked_database(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "BUDGETS_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "django_celery_budget.settings",
        "LOG_FORMAT": "console",
    }

    def manage(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def shell(script: str) -> subprocess.Popen[str]:
        return manage("shell", "--no-imports", "-c", script)

    def output(process: subprocess.Popen[str]) -> str:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said

    output(manage("migrate", "--verbosity=0"))
    output(shell(BEGIN))

    said = [output(writer) for writer in [shell(WRITER) for _ in range(4)]]

    assert "locked" not in "".join(said)
    amounts, holds = output(shell(END)).strip().splitlines()[-2:]
    assert amounts == "24.00 240 0"
    assert holds == " ".join(["brand_daily_budget"] * 3)
