"""The queue of brands: one that fails, or that somebody holds, keeps nobody else waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Cause, PassRecord, StatusChange
from budgets.services import editing, ingestion, passes, queue, reconciliation
from budgets.tests.builders import (
    NOW,
    at,
    decided,
    event,
    log,
    make_brand,
    make_campaign,
    refuse_changes_of,
    spend,
    state,
    write_spend,
)

EVERY_ROAD = pytest.mark.parametrize("look", [queue.drain, queue.sweep, passes.reset])


def make_unreadable(brand: Brand) -> None:
    """Write by SQL what no model can be made of."""
    spoiled = (
        "spend_day = '2026-02-30'" if connection.vendor == "sqlite" else "spend_day = 'infinity'"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE budgets_brand SET {spoiled}, due_at = %s WHERE id = %s",  # noqa: S608  # ours
            [connection.ops.adapt_datetimefield_value(NOW), brand.pk],
        )


@pytest.mark.django_db
@EVERY_ROAD
def test_a_row_that_cannot_be_read_stops_nobody_and_is_named(look: Callable[..., Any]) -> None:
    before, spoiled, after = (decided(make_campaign()) for _ in range(3))
    make_unreadable(spoiled.brand)
    Campaign.objects.filter(pk__in=[before.pk, after.pk]).update(is_enabled=False)

    look(NOW)

    assert [state(before), state(after)] == [Hold.OPERATOR] * 2
    troubled = Brand.objects.troubled().values_list("pk", flat=True)
    assert list(troubled) == [spoiled.brand_id]


@pytest.mark.django_db
def test_what_is_no_failure_of_a_brand_ends_the_pass() -> None:
    class TimeIsUp(Exception):
        """As a soft time limit raises in the middle of anything."""

    campaign = make_campaign()

    def interrupt(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT INTO"):
            raise TimeIsUp
        return execute(sql, params, many, context)

    with connection.execute_wrapper(interrupt), pytest.raises(TimeIsUp):
        queue.drain(NOW)

    campaign.brand.refresh_from_db()
    assert (campaign.brand.trouble, state(campaign)) == ("", Hold.UNDECIDED)


def cross_the_budget(campaign: Campaign) -> None:
    spend(campaign, 10)


def count_a_row(campaign: Campaign) -> None:
    write_spend(campaign, 10)
    passes.reset(NOW)


def switch_a_sibling(campaign: Campaign) -> None:
    editing.set_enabled([make_campaign(campaign.brand).pk], False, by="ann", now=NOW)


class TestRawSQL:
    pytestmark = pytest.mark.django_db

    @pytest.mark.parametrize("decide", [cross_the_budget, count_a_row, switch_a_sibling])
    def test_that_writes_a_state_leaves_the_log_whole_whoever_decides_next(
        self, decide: Callable[[Campaign], object]
    ) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=10)))
        with connection.cursor() as cursor:
            cursor.execute("UPDATE budgets_campaign SET is_active = %s, hold = 'ended'", [False])

        decide(campaign)

        assert reconciliation.check() == []

    def test_that_pauses_as_the_decision_would_is_logged_by_the_full_check(self) -> None:
        campaign = decided(make_campaign())
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE budgets_campaign SET is_enabled = %s, is_active = %s, hold = 'operator'",
                [False, False],
            )

        passes.full_check(NOW)

        assert (log(campaign)[-1].hold, log(campaign)[-1].cause) == ("operator", Cause.SWEEP)
        assert reconciliation.check() == []

    def test_that_switches_on_what_is_off_is_undone_and_both_are_logged(self) -> None:
        campaign = decided(make_campaign(is_enabled=False))
        with connection.cursor() as cursor:
            cursor.execute("UPDATE budgets_campaign SET is_active = %s, hold = ''", [True])

        passes.full_check(NOW)

        assert [(it.old_hold, it.hold) for it in log(campaign)[-2:]] == [
            ("operator", ""),
            ("", "operator"),
        ]
        assert reconciliation.check() == []


@pytest.mark.django_db
class TestAClockALittleBehind:
    def test_closes_no_window_that_another_machine_opened(self) -> None:
        campaign = make_campaign(
            make_brand(daily_budget=10), allowed_start_hour=16, allowed_end_hour=18
        )
        passes.reset(at("2026-11-24T16:00:05Z"))
        assert state(campaign) == ""

        queue.sweep(at("2026-11-24T15:59:50Z"))
        spend(campaign, 10, now=at("2026-11-24T15:59:58Z"))

        assert [change.hold for change in log(campaign)] == ["", Hold.BRAND_DAILY_BUDGET]

    def test_logs_in_order_of_time(self) -> None:
        campaign = make_campaign(make_brand(daily_budget=10), allowed_start_hour=16)
        passes.reset(at("2026-11-24T16:00:05Z"))

        spend(campaign, 10, now=at("2026-11-24T15:59:58Z"))

        instants = [change.at for change in log(campaign)]
        assert instants == sorted(instants)


@pytest.mark.django_db
def test_a_full_check_that_fails_does_not_look_like_passes_that_stand_still() -> None:
    campaign = make_campaign()
    passes.check_and_pause(NOW)

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "COUNT(" in sql and "budgets_statuschange" in sql:
            raise RuntimeError("too slow")
        return execute(sql, params, many, context)

    later = NOW + timedelta(minutes=15)
    with connection.execute_wrapper(fail), pytest.raises(RuntimeError):
        passes.check_and_pause(later)

    record = PassRecord.objects.get(name=passes.CHECK_AND_PAUSE)
    assert (record.at, state(campaign)) == (later, "")
    assert PassRecord.objects.get(name=passes.FULL_CHECK).at == NOW


@pytest.mark.django_db
def test_the_full_check_proves_only_the_part_of_the_log_that_is_new() -> None:
    campaign = decided(make_campaign())
    passes.full_check(NOW)
    proven = PassRecord.objects.get(name=passes.PROVEN_LOG)
    assert proven.counts == {"id": StatusChange.objects.latest("pk").pk}

    StatusChange.objects.create(
        campaign=campaign,
        at=NOW,
        was_active=False,
        is_active=True,
        old_hold="ended",
        hold="",
        cause="edit",
    )
    passes.full_check(NOW)

    record = PassRecord.objects.get(name=passes.FULL_CHECK)
    assert record.counts["log_broken"] == 1
    passes.full_check(NOW)
    record.refresh_from_db()
    assert "log_broken" not in record.counts
    assert [finding.code for finding in reconciliation.check()] == ["log_broken"]


class TestABrandThatSomebodyHolds:
    pytestmark = [
        pytest.mark.postgres,
        pytest.mark.django_db(transaction=True, serialized_rollback=True),
    ]

    @contextmanager
    def held(self, brand: Brand) -> Iterator[None]:
        """Hold the brand's lock in another session, and wait only a little for locks in ours."""
        holds, may_go = threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic():
                list(Brand.objects.filter(pk=brand.pk).locked())
                holds.set()
                may_go.wait(30)
            connections.close_all()

        thread = threading.Thread(target=hold)
        thread.start()
        holds.wait(30)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        yield
        may_go.set()
        thread.join()
        connection.close()

    @pytest.mark.parametrize("look", [passes.reset, passes.check_and_pause])
    def test_keeps_no_other_from_being_counted_and_decided(self, look: Callable[..., Any]) -> None:
        stuck, counted, edited = (
            decided(make_campaign(make_brand(daily_budget=10))) for _ in range(3)
        )
        for campaign in (stuck, counted):
            write_spend(campaign, 10)
        Campaign.objects.filter(pk=edited.pk).update(is_enabled=False)

        with self.held(stuck.brand):
            look(NOW + timedelta(minutes=20))
            assert state(counted) == Hold.BRAND_DAILY_BUDGET
            assert state(edited) == Hold.OPERATOR
            assert state(stuck) == ""

        look(NOW + timedelta(minutes=21))
        assert state(stuck) == Hold.BRAND_DAILY_BUDGET


@pytest.mark.django_db
def test_new_campaigns_are_rolled_whoever_finds_them_first() -> None:
    brand = decided(make_campaign(make_brand(daily_budget=10))).brand
    new = make_campaign(brand)

    receipt = ingestion.record([event(new, 10, occurred_at=NOW)], source="test", now=NOW)

    assert set(receipt.paused) == {brand.campaigns.exclude(pk=new.pk).get().pk}
    assert reconciliation.check() == []


@pytest.mark.django_db
def test_a_brand_that_fails_again_and_again_is_written_once() -> None:
    campaign = make_campaign()
    with transaction.atomic():
        refuse_changes_of(campaign)
    passes.reset(NOW)
    before = Brand.objects.values().get()

    passes.reset(NOW + timedelta(minutes=1))

    assert Brand.objects.values().get() == before
    assert "refused" in before["trouble"]
