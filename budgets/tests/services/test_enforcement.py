"""The state in force is what the decision says, changed once, with one log row and its reason."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from budgets.core.decision import Hold
from budgets.models import Brand, Campaign, Cause, PassRecord, Spend, StatusChange
from budgets.services import editing, passes, queue
from budgets.tests.builders import (
    NOW,
    TODAY,
    at,
    decided,
    log,
    make_brand,
    make_campaign,
    refuse_changes_of,
    spend,
    state,
    totals,
    write_spend,
)

pytestmark = pytest.mark.django_db

MICRO = Decimal("0.000001")
MINUTE = timedelta(minutes=1)
TOMORROW = at("2026-11-25T00:00Z")


# --- Budgets -------------------------------------------------------------------------------------


def test_ten_campaigns_at_thirty_percent_of_a_shared_budget_stop_together() -> None:
    brand = make_brand(daily_budget=100)
    campaigns = [make_campaign(brand) for _ in range(10)]
    decided(brand)

    receipts = [spend(campaign, 30) for campaign in campaigns[:4]]

    assert [len(receipt.paused) for receipt in receipts] == [0, 0, 0, 10]
    assert {state(campaign) for campaign in campaigns} == {Hold.BRAND_DAILY_BUDGET}
    assert totals(brand) == (120, 120)


@pytest.mark.parametrize(
    ("owner", "period", "hold"),
    [
        ("brand", "daily", Hold.BRAND_DAILY_BUDGET),
        ("brand", "monthly", Hold.BRAND_MONTHLY_BUDGET),
        ("campaign", "daily", Hold.CAMPAIGN_DAILY_BUDGET),
        ("campaign", "monthly", Hold.CAMPAIGN_MONTHLY_BUDGET),
    ],
)
class TestEachBudget:
    def campaign(self, owner: str, period: str, budget: object) -> Campaign:
        fields: dict[str, Any] = {f"{period}_budget": budget}
        if owner == "brand":
            return decided(make_campaign(make_brand(**fields)))
        return decided(make_campaign(**fields))

    def test_stops_at_the_last_micro_unit_and_not_before(
        self, owner: str, period: str, hold: Hold
    ) -> None:
        campaign = self.campaign(owner, period, "100")

        spend(campaign, Decimal(100) - MICRO)
        assert state(campaign) == ""

        spend(campaign, MICRO)
        assert state(campaign) == hold

    def test_is_reached_by_a_thousand_times_a_tenth(
        self, owner: str, period: str, hold: Hold
    ) -> None:
        campaign = self.campaign(owner, period, 100)
        Spend.objects.bulk_create(
            Spend(campaign=campaign, date=TODAY, amount=0.1) for _ in range(999)
        )
        assert state(decided(campaign)) == ""

        write_spend(campaign, 0.1)

        assert state(decided(campaign)) == hold
        assert totals(campaign) == (100, 100)

    def test_of_zero_lets_nothing_be_spent(self, owner: str, period: str, hold: Hold) -> None:
        assert state(self.campaign(owner, period, 0)) == hold

    def test_of_none_is_no_limit(self, owner: str, period: str, hold: Hold) -> None:
        campaign = self.campaign(owner, period, None)

        spend(campaign, "999999999999.999999")

        assert state(campaign) == ""

    def test_lets_go_after_a_refund(self, owner: str, period: str, hold: Hold) -> None:
        campaign = self.campaign(owner, period, 100)
        spend(campaign, 130)
        assert state(campaign) == hold

        assert spend(campaign, -30).resumed == ()
        receipt = spend(campaign, -MICRO)

        assert receipt.resumed == (campaign.pk,)
        assert state(campaign) == ""
        assert totals(campaign.brand) == (100 - MICRO, 100 - MICRO)


def test_a_campaigns_budget_stops_itself_alone() -> None:
    brand = make_brand(daily_budget=100)
    capped, free = make_campaign(brand, daily_budget=10), make_campaign(brand)
    decided(brand)

    spend(capped, 10)

    assert (state(capped), state(free)) == (Hold.CAMPAIGN_DAILY_BUDGET, "")


def test_campaign_budgets_are_ceilings_that_need_not_add_up_to_the_brands() -> None:
    brand = make_brand(daily_budget=100)
    campaigns = [make_campaign(brand, daily_budget=80) for _ in range(3)]
    decided(brand)

    for campaign in campaigns[:2]:
        spend(campaign, 50)

    assert {state(campaign) for campaign in campaigns} == {Hold.BRAND_DAILY_BUDGET}


# --- What a person wants -------------------------------------------------------------------------


@pytest.mark.parametrize("road", ["midnight", "month end", "refund", "raise", "new day's pass"])
def test_a_manual_pause_survives(road: str) -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10, monthly_budget=10)))
    spend(campaign, 10)
    editing.set_enabled([campaign.pk], False, by="ann", now=NOW)

    match road:
        case "midnight":
            passes.reset(TOMORROW)
        case "month end":
            passes.reset(at("2026-12-01T00:00Z"))
            passes.check_and_pause(at("2026-12-01T00:01Z"))
        case "refund":
            spend(campaign, -10)
        case "raise":
            campaign.brand.daily_budget = campaign.brand.monthly_budget = Decimal(1000)
            editing.save(campaign.brand, by="bob", now=NOW)
        case _:
            passes.check_and_pause(NOW + timedelta(days=40))

    assert state(campaign) == Hold.OPERATOR
    assert not campaign.is_enabled


def test_nothing_automatic_writes_the_operators_switch() -> None:
    brand = make_brand(daily_budget=10, monthly_budget=10)
    on, off = make_campaign(brand), make_campaign(brand, is_enabled=False)

    for day in range(24, 35):
        now = at("2026-11-01T12:00Z") + timedelta(days=day)
        decided(brand, now)
        spend(on, 5, now=now)

    assert state(off) == Hold.OPERATOR
    on.refresh_from_db()
    assert (on.is_enabled, off.is_enabled) == (True, False)


# --- Holds in force ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("brand", "campaign", "hold"),
    [
        ({}, {}, ""),
        ({}, {"is_enabled": False}, Hold.OPERATOR),
        ({"is_active": False}, {}, Hold.BRAND_INACTIVE),
        ({}, {"starts_on": date(2026, 11, 25)}, Hold.NOT_STARTED),
        ({}, {"ends_on": date(2026, 11, 23)}, Hold.ENDED),
        ({"monthly_budget": 0}, {}, Hold.BRAND_MONTHLY_BUDGET),
        ({}, {"monthly_budget": 0}, Hold.CAMPAIGN_MONTHLY_BUDGET),
        ({"daily_budget": 0}, {}, Hold.BRAND_DAILY_BUDGET),
        ({}, {"daily_budget": 0}, Hold.CAMPAIGN_DAILY_BUDGET),
        ({}, {"allowed_start_hour": 16, "allowed_end_hour": 15}, Hold.OUTSIDE_HOURS),
        ({}, {"weekly_hours": "Tue 0-15, 16-24; Wed-Mon 0-24"}, Hold.OUTSIDE_HOURS),
        ({}, {"weekly_hours": "Tue 15-16", "allowed_start_hour": 23}, ""),
    ],
)
def test_a_pass_stores_the_hold_that_applies(
    brand: dict[str, Any], campaign: dict[str, Any], hold: str
) -> None:
    assert state(decided(make_campaign(make_brand(**brand), **campaign))) == hold


def test_a_campaign_that_everything_holds_is_let_go_one_reason_at_a_time() -> None:
    brand = make_brand(is_active=False, monthly_budget=0, daily_budget=0)
    campaign = make_campaign(
        brand,
        is_enabled=False,
        starts_on=date(2026, 12, 1),
        monthly_budget=0,
        daily_budget=0,
        allowed_start_hour=1,
        allowed_end_hour=2,
    )
    decided(brand)
    fixes: list[tuple[Brand | Campaign, dict[str, Any]]] = [
        (campaign, {"is_enabled": True}),
        (brand, {"is_active": True}),
        (campaign, {"starts_on": None}),
        (brand, {"monthly_budget": None}),
        (campaign, {"monthly_budget": None}),
        (brand, {"daily_budget": None}),
        (campaign, {"daily_budget": None}),
        (campaign, {"allowed_end_hour": 24}),
    ]

    seen = [state(campaign)]
    for row, fields in fixes:
        for name, value in fields.items():
            setattr(row, name, value)
        editing.save(row, by="ann", now=NOW, changed=fields)
        seen.append(state(campaign))

    assert seen == [
        Hold.OPERATOR,
        Hold.BRAND_INACTIVE,
        Hold.NOT_STARTED,
        Hold.BRAND_MONTHLY_BUDGET,
        Hold.CAMPAIGN_MONTHLY_BUDGET,
        Hold.BRAND_DAILY_BUDGET,
        Hold.CAMPAIGN_DAILY_BUDGET,
        Hold.OUTSIDE_HOURS,
        "",
    ]
    assert log(campaign)[0].figures["holds"] == [hold for hold in seen if hold]


def test_a_flight_opens_and_ends_at_local_midnight() -> None:
    campaign = make_campaign(
        make_brand(timezone="Asia/Kolkata"),
        starts_on=date(2026, 11, 26),
        ends_on=date(2026, 11, 26),
    )
    first_second = at("2026-11-26T00:00+05:30")
    last_second = at("2026-11-26T23:59:59+05:30")

    states = [
        state(decided(campaign, now))
        for now in (
            NOW,
            first_second - timedelta(seconds=1),
            first_second,
            last_second,
            last_second + timedelta(seconds=1),
        )
    ]

    assert states == [Hold.NOT_STARTED, Hold.NOT_STARTED, "", "", Hold.ENDED]


# --- The log -------------------------------------------------------------------------------------


def test_status_changes_form_a_chain_that_ends_at_the_state_in_force() -> None:
    brand = make_brand(daily_budget=10, monthly_budget=25)
    campaign = make_campaign(brand, allowed_start_hour=8, allowed_end_hour=20)
    for hours in range(0, 24 * 10, 3):
        now = NOW + timedelta(hours=hours)
        decided(brand, now)
        if hours % 24 == 0:
            spend(campaign, 10, now=now)

    changes = log(campaign)
    assert len(changes) > 10
    assert changes[0].old_hold == Hold.UNDECIDED
    for before, after in itertools.pairwise(changes):
        assert (after.old_hold, after.was_active) == (before.hold, before.is_active)
        assert after.at >= before.at
    for change in changes:
        assert change.old_hold != change.hold
        assert (change.is_active, change.was_active) == (not change.hold, not change.old_hold)
        assert change.cause in Cause.values
    assert changes[-1].hold == state(campaign)


def test_a_change_names_the_figures_that_decided() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget="100.5", currency="EUR")))

    spend(campaign, "100.500001")
    spend(campaign, "-0.000002")

    paused, resumed = log(campaign)[-2:]
    assert paused.figures == {
        "holds": ["brand_daily_budget"],
        "currency": "EUR",
        "spent": "100.500001",
        "budget": "100.50",
    }
    assert resumed.figures == {
        "holds": [],
        "currency": "EUR",
        "spent": "100.499999",
        "budget": "100.50",
    }


def test_a_budget_lifted_without_a_new_one_has_none_in_its_figures() -> None:
    brand = make_brand(daily_budget=0)
    campaign = decided(make_campaign(brand))
    brand.daily_budget = None

    editing.save(brand, by="ann", now=NOW)

    assert log(campaign)[-1].figures["budget"] is None


class TestCause:
    def test_is_spend_when_money_paused_or_a_refund_resumed(self) -> None:
        campaign = decided(make_campaign(daily_budget=10))
        spend(campaign, 10)
        spend(campaign, -5)

        assert [change.cause for change in log(campaign)[-2:]] == [Cause.SPEND, Cause.SPEND]

    def test_is_spend_when_a_row_of_another_road_paused(self) -> None:
        campaign = decided(make_campaign(daily_budget=10))
        write_spend(campaign, 10)

        decided(campaign)

        assert (state(campaign), log(campaign)[-1].cause) == ("campaign_daily_budget", Cause.SPEND)

    @pytest.mark.parametrize("task", [passes.check_and_pause, passes.reset])
    def test_is_rollover_when_a_new_day_frees_a_budget(self, task: Any) -> None:
        campaign = decided(make_campaign(daily_budget=10))
        spend(campaign, 10)

        task(TOMORROW)

        assert (state(campaign), log(campaign)[-1].cause) == ("", Cause.ROLLOVER)

    def test_is_rollover_also_when_spend_arrives_before_the_pass(self) -> None:
        campaign = decided(make_campaign(daily_budget=10))
        spend(campaign, 10)

        spend(campaign, 1, now=TOMORROW)

        assert (state(campaign), log(campaign)[-1].cause) == ("", Cause.ROLLOVER)

    def test_is_schedule_when_a_window_opens_or_closes(self) -> None:
        campaign = decided(make_campaign(allowed_start_hour=16, allowed_end_hour=17))

        for hour in (16, 17):
            passes.check_and_pause(at(f"2026-11-24T{hour}:00Z"))

        assert [change.hold for change in log(campaign)[-2:]] == ["", "outside_hours"]
        assert {change.cause for change in log(campaign)[-2:]} == {Cause.SCHEDULE}

    def test_is_schedule_also_by_weekday(self) -> None:
        campaign = decided(make_campaign(weekly_hours="Tue 22-2"))

        for hour in ("24T22", "24T23", "25T00", "25T01", "25T02", "25T22"):
            passes.check_and_pause(at(f"2026-11-{hour}:00Z"))

        changes = [(change.at, change.hold) for change in log(campaign)[1:]]
        assert changes == [
            (at("2026-11-24T22:00Z"), ""),
            (at("2026-11-25T02:00Z"), "outside_hours"),
        ]
        assert {change.cause for change in log(campaign)[1:]} == {Cause.SCHEDULE}

    def test_is_schedule_also_when_spend_arrives_before_the_pass(self) -> None:
        campaign = decided(make_campaign(allowed_end_hour=16))

        spend(campaign, 1, now=at("2026-11-24T16:00Z"))

        assert (state(campaign), log(campaign)[-1].cause) == (Hold.OUTSIDE_HOURS, Cause.SCHEDULE)

    def test_is_schedule_when_a_flight_begins(self) -> None:
        campaign = decided(make_campaign(starts_on=date(2026, 11, 25)))

        passes.reset(TOMORROW)

        assert (state(campaign), log(campaign)[-1].cause) == ("", Cause.SCHEDULE)

    def test_is_edit_when_a_budget_was_changed_and_names_who(self) -> None:
        campaign = decided(make_campaign(daily_budget=10))
        campaign.daily_budget = Decimal(0)
        editing.save(campaign, by="ann", now=NOW)

        change = log(campaign)[-1]
        assert (change.hold, change.cause, change.actor) == (
            Hold.CAMPAIGN_DAILY_BUDGET,
            Cause.EDIT,
            "ann",
        )

    def test_is_operator_when_the_switch_was_used_and_names_who(self) -> None:
        campaign = decided(make_campaign())
        editing.set_enabled([campaign.pk], False, by="ann", now=NOW)
        editing.set_enabled([campaign.pk], True, by="bob", now=NOW)

        assert [(change.cause, change.actor) for change in log(campaign)[-2:]] == [
            (Cause.OPERATOR, "ann"),
            (Cause.OPERATOR, "bob"),
        ]

    @pytest.mark.parametrize(
        ("fields", "cause"),
        [({"is_enabled": False}, Cause.OPERATOR), ({"daily_budget": 0}, Cause.EDIT)],
    )
    def test_is_what_somebody_wrote_in_a_shell(self, fields: dict[str, Any], cause: Cause) -> None:
        campaign = decided(make_campaign())
        Campaign.objects.filter(pk=campaign.pk).update(**fields)

        decided(campaign)

        assert log(campaign)[-1].cause == cause

    def test_is_sweep_when_the_full_check_found_it(self) -> None:
        campaign = decided(make_campaign())
        Campaign.objects.filter(pk=campaign.pk).write(is_enabled=False)

        passes.full_check(NOW)

        change = log(campaign)[-1]
        assert (change.hold, change.cause, change.actor) == (Hold.OPERATOR, Cause.SWEEP, "")


def test_a_change_and_its_log_row_commit_or_roll_back_together() -> None:
    campaign = decided(make_campaign(daily_budget=10))
    before = len(log(campaign))

    with transaction.atomic():
        spend(campaign, 10)
        assert (state(campaign), len(log(campaign))) == (Hold.CAMPAIGN_DAILY_BUDGET, before + 1)
        transaction.set_rollback(True)

    assert (state(campaign), len(log(campaign))) == ("", before)
    assert not Spend.objects.exists()


# --- Twice is once -------------------------------------------------------------------------------


def tables() -> dict[str, list[dict[str, Any]]]:
    """Return every row of ours, but when the passes last ran."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in apps.get_app_config("budgets").get_models()
        if model is not PassRecord
    }


def make_an_eventful_day() -> None:
    """Write spend, windows, zones and trouble for the next pass to work on."""
    spend(make_campaign(make_brand(daily_budget=10, timezone="Pacific/Chatham")), 10)
    write_spend(make_campaign(make_brand(timezone="America/New_York"), daily_budget=3), 5)
    make_campaign(allowed_start_hour=22, allowed_end_hour=6)
    make_campaign(weekly_hours="Mon-Fri 9-18; Sat 22-6")
    make_campaign(make_brand(timezone="Not/AZone"))


@pytest.mark.parametrize("first", [passes.check_and_pause, passes.reset])
@pytest.mark.parametrize("second", [passes.check_and_pause, passes.reset, passes.full_check])
def test_a_second_pass_moves_nothing(first: Any, second: Any) -> None:
    make_an_eventful_day()
    first(TOMORROW)
    after_the_first = tables()

    second(TOMORROW)

    assert tables() == after_the_first


@pytest.mark.parametrize("second", [passes.check_and_pause, passes.reset])
def test_a_second_pass_writes_nothing_but_that_it_ran(second: Any) -> None:
    make_an_eventful_day()
    passes.check_and_pause(TOMORROW)

    with CaptureQueriesContext(connection) as queries:
        second(TOMORROW)

    written = [
        query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
    ]
    assert [sql for sql in written if PassRecord._meta.db_table not in sql] == []


@pytest.mark.parametrize("task", [passes.check_and_pause, passes.reset])
def test_counts_say_what_a_pass_did(task: Any) -> None:
    paused = make_campaign(daily_budget=10)
    decided(paused)
    write_spend(paused, 10)
    make_campaign()

    counts = task(NOW)

    assert {name: counts[name] for name in ("counted", "brands", "paused", "resumed")} == {
        "counted": 1,
        "brands": 2,
        "paused": 1,
        "resumed": 1,
    }
    assert counts["changes"] == 2
    assert counts["troubled"] == 0


# --- Brands that cannot be processed -------------------------------------------------------------


class TestACorruptZone:
    def test_never_stops_the_brands_beside_it(self) -> None:
        healthy = [make_campaign(make_brand(daily_budget=10)) for _ in range(3)]
        corrupt = make_campaign(make_brand(timezone="Not/AZone"))
        healthy.append(make_campaign())

        counts = passes.check_and_pause(NOW)

        assert counts["troubled"] >= 1
        assert {state(campaign) for campaign in healthy} == {""}
        assert state(corrupt) == Hold.UNDECIDED
        assert [brand.trouble for brand in Brand.objects.troubled()] == [
            "'Not/AZone' is not a time zone; write an IANA name such as Europe/Berlin"
        ]

    def test_is_decided_once_it_is_repaired(self) -> None:
        campaign = decided(make_campaign(make_brand(timezone="Not/AZone")))

        Brand.objects.filter(pk=campaign.brand_id).update(timezone="Europe/Berlin")

        assert state(decided(campaign)) == ""
        assert not Brand.objects.troubled().exists()

    def test_that_came_after_the_first_pass_leaves_the_old_one_in_force(self) -> None:
        campaign = decided(make_campaign(make_brand(timezone="Asia/Kolkata", daily_budget=10)))
        Brand.objects.filter(pk=campaign.brand_id).update(timezone="../x")

        brand = decided(campaign.brand)

        assert brand.current_timezone == "Asia/Kolkata"
        assert "'../x' is not a time zone" in brand.trouble
        assert "Asia/Kolkata stays in force" in brand.trouble
        spend(campaign, 10)
        assert state(campaign) == Hold.BRAND_DAILY_BUDGET
        passes.reset(at("2026-11-25T00:00+05:30"))
        assert state(campaign) == ""
        Brand.objects.filter(pk=brand.pk).update(timezone="UTC")
        assert decided(brand, at("2026-11-25T00:01+05:30")).trouble == ""

    def test_is_tried_again_every_quarter_of_an_hour_not_every_pass(self) -> None:
        brand = decided(make_brand(timezone="Not/AZone"))

        assert brand.due_at == NOW + timedelta(minutes=15)
        assert passes.reset(NOW + MINUTE)["troubled"] == 0
        assert passes.reset(NOW + 15 * MINUTE)["troubled"] == 1


@pytest.mark.parametrize("task", [passes.check_and_pause, passes.reset, passes.full_check])
def test_a_brand_that_fails_is_named_and_stops_no_other(task: Any) -> None:
    before, failing, after = (make_campaign() for _ in range(3))
    refuse_changes_of(failing)

    task(NOW)

    assert [state(row) for row in (before, failing, after)] == ["", Hold.UNDECIDED, ""]
    assert [(brand, "refused" in brand.trouble) for brand in Brand.objects.troubled()] == [
        (failing.brand, True)
    ]
    assert log(failing) == []


def test_a_pass_goes_on_until_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BATCH", 2)
    campaigns = [make_campaign() for _ in range(7)]
    make_campaign(make_brand(timezone="Not/AZone"))

    counts = passes.reset(NOW)

    assert (counts["brands"], counts["troubled"]) == (7, 1)
    assert {state(campaign) for campaign in campaigns} == {""}


def test_a_brand_is_due_at_the_next_thing_that_time_alone_changes() -> None:
    brand = make_brand(timezone="Asia/Kolkata")
    assert decided(brand).due_at == at("2026-11-25T00:00+05:30")

    make_campaign(brand, allowed_start_hour=9, allowed_end_hour=22)
    assert decided(brand).due_at == at("2026-11-24T22:00+05:30")


def test_whoever_changes_a_state_behind_our_back_has_its_change_found_by_the_full_check() -> None:
    campaign = decided(make_campaign())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_campaign SET is_active = %s, hold = 'ended' WHERE id = %s",
            [False, campaign.pk],
        )

    passes.full_check(NOW)

    assert state(campaign) == ""
    assert (log(campaign)[-1].old_hold, log(campaign)[-1].cause) == (Hold.ENDED, Cause.SWEEP)


def test_every_campaign_has_as_many_log_rows_as_changes() -> None:
    campaigns = [make_campaign() for _ in range(5)]

    counts = passes.check_and_pause(NOW)

    assert counts["changes"] == StatusChange.objects.count() == len(campaigns)


def test_a_state_that_moves_between_reading_and_writing_is_decided_again() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    others = iter(["UPDATE budgets_campaign SET hold = 'ended', is_active = (1 = 0)"])

    def first_write(execute: Any, sql: str, *more: Any) -> Any:
        if sql.startswith('UPDATE "budgets_campaign" SET hold') and (other := next(others, "")):
            with connection.cursor() as cursor:
                cursor.execute(other)
        return execute(sql, *more)

    with connection.execute_wrapper(first_write):
        spend(campaign, 10)

    assert next(others, None) is None
    assert state(campaign) == Hold.BRAND_DAILY_BUDGET
    assert [change.hold for change in log(campaign)] == ["", Hold.BRAND_DAILY_BUDGET]
    assert totals(campaign) == (10, 10)
