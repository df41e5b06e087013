"""Whatever is generated, the product and the oracle agree."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from budgets.core.dayparting import WEEKDAYS
from budgets.models import Brand, Campaign, PassRecord, Spend, StatusChange
from budgets.queries.explain import explain
from budgets.services import editing, ingestion, passes, reconciliation
from budgets.services.ingestion import Answer, SpendEvent
from budgets.services.to_date import ReportedSpend, record_to_date
from budgets.tests.builders import NOW, decided, make_brand, make_campaign, spend, state, totals
from budgets.tests.oracle import NOTHING, BrandFact, CampaignFact, Row, World

# Each example a transaction of its own, and none around them all: on PostgreSQL a test of half a minute
# would keep the feed of the log back, in all databases, for whoever tests that meanwhile.
pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

# HYPOTHESIS_PROFILE=thorough looks for minutes instead of seconds.
IS_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
SEARCH = settings(
    max_examples=600 if IS_THOROUGH else 30,
    deadline=None,
    # Examples that failed stay in the message alone: a run writes nothing into the tree.
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

ZONES = [
    "UTC",
    "Asia/Kolkata",
    "Pacific/Chatham",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Pacific/Apia",
    "America/Havana",
    "Antarctica/Troll",
    "Pacific/Kiritimati",
    "America/Sao_Paulo",
    "Europe/London",
]

TURNING_POINTS = [
    datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia has no 30 December
    datetime(2026, 3, 8, 5, tzinfo=UTC),  # New York and Havana spring forward
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # London, Troll by two hours
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe falls back by half an hour, Chatham by one
    datetime(2026, 4, 23, 22, tzinfo=UTC),  # Cairo's day begins at 01:00
    datetime(2026, 9, 26, 14, tzinfo=UTC),  # Chatham springs forward
    datetime(2026, 10, 29, 21, tzinfo=UTC),  # Cairo's day has 25 hours
    datetime(2026, 11, 1, 5, tzinfo=UTC),  # New York falls back, at a month's beginning
    datetime(2026, 12, 31, 23, tzinfo=UTC),
    datetime(2027, 2, 28, 18, tzinfo=UTC),
    datetime(2028, 2, 29, 18, tzinfo=UTC),
    datetime(2026, 7, 15, 12, tzinfo=UTC),
]

MICRO = Decimal("0.000001")
AMOUNTS = st.one_of(
    st.sampled_from([MICRO, Decimal("0.1"), Decimal(1), Decimal("2.5"), Decimal(5), -Decimal(1)]),
    st.integers(-6_000_000, 12_000_000).map(lambda micros: micros * MICRO),
)
BUDGETS = st.one_of(
    st.none(), st.sampled_from([NOTHING, MICRO, Decimal(1), Decimal(5), Decimal(10), Decimal(12)])
)
# Nights that begin on some weekdays, and single hours.
WEEKS = st.builds(
    lambda evenings, hours: frozenset(
        hours
        | {(day, hour) for day in evenings for hour in (22, 23)}
        | {((day + 1) % 7, hour) for day in evenings for hour in (0, 1, 2)}
    ),
    st.sets(st.integers(0, 6), min_size=1),
    st.sets(st.tuples(st.integers(0, 6), st.integers(0, 23))),
)
INSTANTS = st.builds(
    lambda point, minutes: point + timedelta(minutes=minutes),
    st.sampled_from(TURNING_POINTS),
    st.integers(-36 * 60, 36 * 60),
)
STRIDES = st.one_of(
    st.integers(0, 90).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(1, 60).map(lambda hours: timedelta(hours=hours)),
    st.integers(2, 40).map(lambda days: timedelta(days=days)),
)
# Three in four wait for reports, most of them not for longer than a stride.
PATIENCE = st.one_of(
    st.none(),
    *(st.integers(1, most).map(lambda hours: timedelta(hours=hours)) for most in (3, 12, 30)),
)
HELD_WHEN_STALE = st.sampled_from([True, True, False])
DAYS_AGO = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 45))
SOURCE = "platform"


@contextmanager
def undone() -> Iterator[None]:
    """Forget at the end what happens inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@st.composite
def campaign_facts(draw: st.DrawFn, today: date) -> CampaignFact:
    starts, ends = sorted(draw(st.tuples(st.integers(-2, 3), st.integers(-2, 3))))
    return CampaignFact(
        is_enabled=draw(st.sampled_from([True, True, True, False])),
        starts_on=draw(st.sampled_from([None, today + timedelta(days=starts)])),
        ends_on=draw(st.sampled_from([None, today + timedelta(days=ends)])),
        opens=draw(st.sampled_from([0, 0, 6, 22, 23]) | st.integers(0, 23)),
        closes=draw(st.sampled_from([24, 24, 0, 6, 2]) | st.integers(0, 24)),
        week=draw(st.none() | WEEKS),
        daily=draw(BUDGETS),
        monthly=draw(BUDGETS),
    )


@st.composite
def brand_facts(draw: st.DrawFn, now: datetime) -> BrandFact:
    brand = BrandFact(
        zone=draw(st.sampled_from(ZONES)),
        is_active=draw(st.sampled_from([True, True, True, True, False])),
        daily=draw(BUDGETS),
        monthly=draw(BUDGETS),
        patience=draw(PATIENCE),
        is_held_when_stale=draw(HELD_WHEN_STALE),
        heard_at=now,
    )
    brand.campaigns = draw(st.lists(campaign_facts(brand.today(now)), min_size=1, max_size=3))
    return brand


@st.composite
def worlds(draw: st.DrawFn, now: datetime) -> World:
    return World(draw(st.lists(brand_facts(now), min_size=1, max_size=3)))


def settle_in(world: World) -> None:
    """Write the facts as anybody would."""
    for at, brand in enumerate(world.brands):
        row = Brand.objects.create(
            name=f"Brand {at}",
            timezone=brand.zone,
            is_active=brand.is_active,
            daily_budget=brand.daily,
            monthly_budget=brand.monthly,
            **when_stale(brand),
        )
        brand.pk = row.pk
        if brand.patience:
            Brand.objects.filter(pk=brand.pk).write(last_report_at=brand.heard_at)
        for campaign in brand.campaigns:
            open_campaign(brand, campaign)


def open_campaign(brand: BrandFact, campaign: CampaignFact) -> None:
    campaign.pk = Campaign.objects.create(
        brand_id=brand.pk,
        name=f"Campaign {brand.campaigns.index(campaign)}",
        is_enabled=campaign.is_enabled,
        starts_on=campaign.starts_on,
        ends_on=campaign.ends_on,
        allowed_start_hour=campaign.opens,
        allowed_end_hour=campaign.closes,
        weekly_hours=spelled(campaign),
        daily_budget=campaign.daily,
        monthly_budget=campaign.monthly,
    ).pk


def when_stale(brand: BrandFact) -> dict[str, Any]:
    """Return the columns that say how long a brand waits for a report, and what follows."""
    return {
        "stale_after_hours": brand.patience and brand.patience // timedelta(hours=1),
        "stale_policy": "hold" if brand.is_held_when_stale else "alert",
    }


def spelled(campaign: CampaignFact) -> str | None:
    """Write the calendar of a campaign hour by hour, as nobody would."""
    if campaign.week is None:
        return None
    return ";".join(f"{WEEKDAYS[day]} {hour}-{hour + 1}" for day, hour in campaign.week)


def report(
    world: World,
    campaign: CampaignFact,
    day: date,
    amount: Decimal,
    now: datetime,
    external_id: str | None = None,
) -> SpendEvent:
    """Record an amount through the front door; the oracle takes down what was accepted."""
    event = SpendEvent(campaign_id=campaign.pk, date=day, amount=amount, external_id=external_id)
    receipt = ingestion.record([event], source=SOURCE, now=now)
    if receipt.count(Answer.RECORDED):
        world.rows.append(Row(campaign=campaign, date=day, amount=amount, recorded_at=now))
    return event


def smuggle(
    world: World, campaign: CampaignFact, day: date, amount: Decimal, now: datetime
) -> None:
    """Write a row of the ledger past the front door."""
    row = Spend(campaign_id=campaign.pk, date=day, amount=amount, created_at=now)
    Spend.objects.bulk_create([row])
    world.rows.append(Row(campaign=campaign, date=day, amount=amount, recorded_at=now))


def in_force(world: World) -> dict[int, str]:
    """Return the state in force, as the oracle spells it."""
    rows = Campaign.objects.values_list("pk", "is_active", "hold")
    assert all(active is (not hold) for _, active, hold in rows)
    return {pk: hold for pk, _, hold in rows}


def assert_agreed(world: World, now: datetime) -> None:
    """Hold states and totals against the oracle's."""
    expected = {}
    for brand in world.brands:
        expected.update(world.holds(brand, now))
    assert in_force(world) == expected
    for brand in world.brands:
        day = brand.today(now)
        shared = world.spent(brand.campaigns, day)
        columns = ("spend_day", "total_daily_spend", "total_monthly_spend")
        brand_rows = Brand.objects.filter(pk=brand.pk).values_list(*columns)
        assert list(brand_rows) == [(day, shared.today, shared.this_month)]
        for campaign in brand.campaigns:
            own = world.spent([campaign], day)
            rows = Campaign.objects.filter(pk=campaign.pk).values_list(*columns)
            assert list(rows) == [(day, own.today, own.this_month)]


def assert_chained() -> None:
    """Follow each campaign's log from its beginning to the state in force."""
    for campaign in Campaign.objects.all():
        changes = list(StatusChange.objects.filter(campaign=campaign).order_by("pk"))
        ends = [(change.was_active, change.old_hold) for change in changes[:1]]
        assert ends in ([], [(False, "undecided")])
        for one, other in pairwise(changes):
            assert (one.is_active, one.hold) == (other.was_active, other.old_hold)
        for change in changes:
            assert change.cause
            assert change.old_hold != change.hold
        if changes:
            last = changes[-1]
            assert (last.is_active, last.hold) == (campaign.is_active, campaign.hold)


def everything() -> list[Any]:
    """Return all that a pass could write, but for its own record."""
    tables = (Brand, Campaign, Spend, StatusChange)
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def assert_nothing_left_to_do(now: datetime) -> None:
    """Pass again, and find nothing changed."""
    before = everything()
    for again in (passes.reset, passes.check_and_pause):
        assert not any(again(now).values())
    assert everything() == before


@SEARCH
@given(st.data())
def test_the_drained_state_equals_the_oracle(data: st.DataObject) -> None:
    now = data.draw(INSTANTS, "first instant")
    world = data.draw(worlds(now), "world")
    with undone():
        settle_in(world)
        for _ in range(data.draw(st.integers(1, 4), "passes")):
            for _ in range(data.draw(st.integers(0, 3), "amounts")):
                campaign = data.draw(st.sampled_from(world.campaigns))
                today = world.brand_of(campaign).today(now)
                amount = data.draw(AMOUNTS)
                if data.draw(st.booleans(), "reported"):
                    day = today - timedelta(days=data.draw(DAYS_AGO))
                    report(world, campaign, day, amount, now)
                else:
                    day = today - timedelta(days=data.draw(st.integers(-3, 3)))
                    smuggle(world, campaign, day, amount, now)
            # Seldom the one that also checks everybody, due or not: it would hide a late timer.
            one_pass = data.draw(
                st.sampled_from([passes.reset, passes.reset, passes.check_and_pause])
            )

            one_pass(now)

            assert_agreed(world, now)
            assert_nothing_left_to_do(now)
            assert_chained()
            assert reconciliation.check() == []
            now += data.draw(STRIDES, "stride")


@SEARCH
@given(st.data())
def test_a_brand_is_due_no_later_than_any_answer_changes(data: st.DataObject) -> None:
    now = data.draw(INSTANTS, "instant")
    world = data.draw(worlds(now), "world")
    with undone():
        settle_in(world)
        for campaign in world.campaigns:
            today = world.brand_of(campaign).today(now)
            for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
                if data.draw(st.booleans()):
                    smuggle(world, campaign, day, data.draw(AMOUNTS), now)

        passes.reset(now)

        for brand in world.brands:
            due_at = Brand.objects.get(pk=brand.pk).due_at
            changes_at = world.first_change(brand, now, within=timedelta(hours=40))
            note(f"{brand.zone}: due {due_at}, changes {changes_at}")
            assert due_at > now
            assert changes_at is None or due_at <= changes_at


@SEARCH
@given(st.data())
def test_the_start_that_is_told_is_the_first_at_which_time_lets_it_run(data: st.DataObject) -> None:
    now = data.draw(INSTANTS, "instant")
    world = data.draw(worlds(now), "world")
    with undone():
        settle_in(world)
        for campaign in world.campaigns:
            today = world.brand_of(campaign).today(now)
            for days_ago in (0, 2, 9):
                if data.draw(st.booleans()):
                    report(world, campaign, today - timedelta(days=days_ago), Decimal(5), now)
        passes.reset(now)
        for campaign in world.campaigns:
            brand = world.brand_of(campaign)

            told = explain(Campaign.objects.select_related("brand").get(pk=campaign.pk), now)

            assert told.hold == world.hold(brand, campaign, now)
            assert [reason.hold.value for reason in told.reasons][:1] == [told.hold][
                : told.hold != ""
            ]
            starts_at = world.first_start(brand, campaign, now, within=timedelta(days=40))
            note(f"{brand.zone}: told {told.runs_again_at}, starts {starts_at}")
            assert told.runs_again_at == starts_at
            if starts_at is not None:
                with undone():
                    passes.reset(max(now, starts_at - timedelta(minutes=1)))
                    assert in_force(world)[campaign.pk]
                    passes.reset(starts_at)
                    assert not in_force(world)[campaign.pk]


@SEARCH
@given(st.data())
def test_order_and_repetition_of_events_change_no_sum(data: st.DataObject) -> None:
    now = data.draw(INSTANTS, "instant")
    world = data.draw(worlds(now), "world")
    with undone():
        settle_in(world)
        events = []
        for at in range(data.draw(st.integers(1, 8), "events")):
            campaign = data.draw(st.sampled_from(world.campaigns))
            day = world.brand_of(campaign).today(now) - timedelta(days=data.draw(DAYS_AGO))
            amount = data.draw(AMOUNTS)
            world.rows.append(Row(campaign=campaign, date=day, amount=amount, recorded_at=now))
            events.append(
                SpendEvent(campaign_id=campaign.pk, date=day, amount=amount, external_id=f"e{at}")
            )
        repeated = data.draw(st.lists(st.sampled_from(events), max_size=8), "repeated")
        delivered = data.draw(st.permutations(events + repeated), "order")

        answers: list[Answer] = []
        while delivered:
            size = data.draw(st.integers(1, len(delivered)), "batch")
            batch, delivered = delivered[:size], delivered[size:]
            receipt = ingestion.record(batch, source=SOURCE, now=now)
            answers += [result.answer for result in receipt.results]

        assert answers.count(Answer.RECORDED) == len(events)
        assert answers.count(Answer.DUPLICATE) == len(repeated)
        written = Spend.objects.values_list("campaign_id", "date", "amount")
        assert sorted(written) == sorted(
            (row.campaign.pk, row.date, row.amount) for row in world.rows
        )
        passes.reset(now)
        assert_agreed(world, now)


@SEARCH
@given(st.data())
def test_a_history_with_passes_left_out_ends_as_with_them(data: st.DataObject) -> None:
    now = data.draw(INSTANTS, "instant")
    world = data.draw(worlds(now), "world")
    history = []
    for _ in range(data.draw(st.integers(1, 5), "events")):
        at = data.draw(st.integers(0, len(world.campaigns) - 1), "campaign")
        days_ago, amount = data.draw(DAYS_AGO), data.draw(AMOUNTS)
        is_reported, is_passed = data.draw(st.booleans()), data.draw(st.booleans())
        history.append((now, at, days_ago, amount, is_reported, is_passed))
        now += data.draw(STRIDES, "stride")

    def end_of(*, passing: bool) -> list[Any]:
        with undone():
            lived = World(world.brands)
            settle_in(lived)
            for then, at, days_ago, amount, is_reported, is_passed in history:
                campaign = lived.campaigns[at]
                day = lived.brand_of(campaign).today(then) - timedelta(days=days_ago)
                if is_reported:
                    report(lived, campaign, day, amount, then)
                else:
                    smuggle(lived, campaign, day, amount, then)
                if is_passed and passing:
                    passes.reset(then)
            passes.reset(now)
            columns = ("name", "spend_day", "total_daily_spend", "total_monthly_spend")
            patient = Brand.objects.filter(stale_after_hours__isnull=True)
            return [
                list(Brand.objects.order_by("pk").values_list(*columns, "last_report_at")),
                # A report moves the wait for the next one, not the timer that was set for it before.
                list(patient.order_by("pk").values_list("due_at")),
                list(Campaign.objects.order_by("pk").values_list(*columns, "hold")),
                sorted(Spend.objects.values_list("campaign__name", "date", "amount")),
            ]

    assert end_of(passing=True) == end_of(passing=False)


def test_spend_after_the_clock_went_back_to_an_exhausted_day_pauses() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    spend(campaign, 10)
    passes.reset(NOW + timedelta(days=1))
    assert state(campaign) == ""

    spend(campaign, 1, now=NOW + timedelta(minutes=1))

    assert totals(campaign.brand) == (Decimal(11), Decimal(11))
    assert state(campaign) == "brand_daily_budget"


class LifeOfAnAgency(RuleBasedStateMachine):
    """Everything that people, platforms and clocks may do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = undone()
        self.ends.__enter__()
        self.world = World([])
        self.now = TURNING_POINTS[0]
        self.clock_went_back = False
        self.sent: list[tuple[BrandFact, SpendEvent]] = []
        self.to_date: dict[tuple[int, date], Decimal] = defaultdict(Decimal)

    def teardown(self) -> None:
        self.ends.__exit__(None, None, None)

    @initialize(data=st.data(), now=INSTANTS)
    def open_for_business(self, data: st.DataObject, now: datetime) -> None:
        self.now = now
        self.world = data.draw(worlds(now))
        settle_in(self.world)

    def some_campaign(self, data: st.DataObject) -> CampaignFact:
        return data.draw(st.sampled_from(self.world.campaigns), "campaign")

    def some_brand(self, data: st.DataObject) -> BrandFact:
        return data.draw(st.sampled_from(self.world.brands), "brand")

    @rule(data=st.data(), days_ago=DAYS_AGO, amount=AMOUNTS)
    def report_spend(self, data: st.DataObject, days_ago: int, amount: Decimal) -> None:
        campaign = self.some_campaign(data)
        brand = self.world.brand_of(campaign)
        day = brand.today(self.now) - timedelta(days=days_ago)
        now, known = self.instant_of(brand), len(self.world.rows)
        event = report(self.world, campaign, day, amount, self.now, f"e{len(self.sent)}")
        brand.look(now)
        for row in self.world.rows[known:]:
            self.sent.append((brand, event))
            brand.hear(now, now)
            row.recorded_at = None
        self.assert_none_runs_past_its_budget(brand)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_event_is_sent_again(self, data: st.DataObject) -> None:
        brand, event = data.draw(st.sampled_from(self.sent), "event")
        now = self.instant_of(brand)
        receipt = ingestion.record([event], source=SOURCE, now=self.now)
        brand.look(now)
        # Refused, where by now it is too old, or in the future of a clock that went back.
        assert not receipt.count(Answer.RECORDED)
        self.assert_none_runs_past_its_budget(brand)

    @rule(data=st.data(), days_ago=DAYS_AGO, amount=AMOUNTS)
    def report_spend_to_date(self, data: st.DataObject, days_ago: int, amount: Decimal) -> None:
        campaign = self.some_campaign(data)
        brand = self.world.brand_of(campaign)
        now, day = self.instant_of(brand), brand.today(self.now) - timedelta(days=days_ago)
        row = ReportedSpend(campaign_id=campaign.pk, date=day, spend_to_date=amount)
        receipt = record_to_date([row], source="to date", now=self.now)
        brand.look(now)
        if not receipt.count(Answer.REJECTED):
            brand.hear(now, now)
            known, self.to_date[campaign.pk, day] = self.to_date[campaign.pk, day], amount
            assert receipt.count(Answer.RECORDED) == (amount != known)
            if amount != known:
                self.world.rows.append(Row(campaign=campaign, date=day, amount=amount - known))
        self.assert_none_runs_past_its_budget(brand)

    def assert_none_runs_past_its_budget(self, brand: BrandFact) -> None:
        """Look at what whoever was told "recorded" can see."""
        day = Brand.objects.get(pk=brand.pk).spend_day
        counted = World(self.world.brands)
        for row in Spend.objects.filter(is_counted=True):
            campaign = next(one for one in self.world.campaigns if one.pk == row.campaign_id)
            counted.rows.append(Row(campaign=campaign, date=row.date, amount=row.amount))
        states = in_force(self.world)
        for campaign in brand.campaigns:
            if states[campaign.pk]:
                continue
            for spends, of in ((brand, brand.campaigns), (campaign, [campaign])):
                spent = counted.spent(of, day)
                assert spends.daily is None or spent.today < spends.daily
                assert spends.monthly is None or spent.this_month < spends.monthly

    @rule(data=st.data(), days_ago=st.integers(-3, 40), amount=AMOUNTS)
    def write_spend_by_another_road(
        self, data: st.DataObject, days_ago: int, amount: Decimal
    ) -> None:
        campaign = self.some_campaign(data)
        day = self.world.brand_of(campaign).today(self.now) - timedelta(days=days_ago)
        smuggle(self.world, campaign, day, amount, self.now)
        self.world.rows[-1].recorded_at = None  # the brand hears of it from the pass that counts it

    @rule(stride=STRIDES, then=st.sampled_from([None, passes.reset, passes.check_and_pause]))
    def time_passes(self, stride: timedelta, then: Callable[[datetime], object] | None) -> None:
        self.now += stride
        if then is not None:
            self.run(then)

    @rule(back=st.integers(1, 4) | st.integers(60, 3 * 24 * 60))
    def clock_goes_back(self, back: int) -> None:
        self.now -= timedelta(minutes=back)
        self.clock_went_back = True

    @rule(data=st.data(), enabled=st.booleans())
    def operator_switches(self, data: st.DataObject, enabled: bool) -> None:
        campaign = self.some_campaign(data)
        brand = self.world.brand_of(campaign)
        now = self.instant_of(brand)
        if editing.set_enabled([campaign.pk], enabled, by="operator", now=self.now):
            brand.look(now)
        campaign.is_enabled = enabled

    @rule(data=st.data())
    def brand_is_edited(self, data: st.DataObject) -> None:
        fact = self.some_brand(data)
        row, now = Brand.objects.get(pk=fact.pk), self.instant_of(fact)
        fact.look(now)  # first as it was
        self.rewrite_brand(data, fact, row)
        editing.save(row, by="editor", now=self.now)
        fact.look(now)
        self.assert_none_runs_past_its_budget(fact)

    @rule(data=st.data())
    def campaign_is_opened(self, data: st.DataObject) -> None:
        brand = self.some_brand(data)
        brand.campaigns.append(data.draw(campaign_facts(brand.today(self.now)), "new campaign"))
        open_campaign(brand, brand.campaigns[-1])

    @rule(data=st.data())
    def campaign_is_edited(self, data: st.DataObject) -> None:
        fact = self.some_campaign(data)
        row, brand = Campaign.objects.get(pk=fact.pk), self.world.brand_of(fact)
        now = self.instant_of(brand)
        self.rewrite(data, fact, row)
        editing.save(row, by="editor", now=self.now)
        brand.look(now)
        self.assert_none_runs_past_its_budget(brand)

    @rule(data=st.data(), road=st.sampled_from(["save", "update", "bulk_update"]))
    def campaign_is_written_by_another_road(self, data: st.DataObject, road: str) -> None:
        fact = self.some_campaign(data)
        row = Campaign.objects.get(pk=fact.pk)
        written = self.rewrite(data, fact, row)
        match road:
            case "save":
                row.save()
            case "update":
                Campaign.objects.filter(pk=row.pk).update(
                    **{name: getattr(row, name) for name in written}
                )
            case _:
                Campaign.objects.bulk_update([row], written)

    def rewrite(self, data: st.DataObject, fact: CampaignFact, row: Campaign) -> list[str]:
        """Put other values on both; return the columns."""
        new = data.draw(campaign_facts(self.world.brand_of(fact).today(self.now)), "new facts")
        columns = {
            "is_enabled": "is_enabled",
            "starts_on": "starts_on",
            "ends_on": "ends_on",
            "opens": "allowed_start_hour",
            "closes": "allowed_end_hour",
            "daily": "daily_budget",
            "monthly": "monthly_budget",
        }
        for name, column in columns.items():
            value = getattr(new, name)
            setattr(fact, name, value)
            setattr(row, column, value)
        fact.week, row.weekly_hours = new.week, spelled(new)
        return [*columns.values(), "weekly_hours"]

    @rule(data=st.data(), road=st.sampled_from(["save", "update", "bulk_update"]))
    def brand_is_written_by_another_road(self, data: st.DataObject, road: str) -> None:
        fact = self.some_brand(data)
        row = Brand.objects.get(pk=fact.pk)
        written = self.rewrite_brand(data, fact, row)
        match road:
            case "save":
                row.save()
            case "update":
                Brand.objects.filter(pk=row.pk).update(
                    **{name: getattr(row, name) for name in written}
                )
            case _:
                Brand.objects.bulk_update([row], written)

    def rewrite_brand(self, data: st.DataObject, fact: BrandFact, row: Brand) -> list[str]:
        """Put other values on both; return the columns."""
        zone = data.draw(st.just(fact.zone) | st.sampled_from(ZONES), "zone")
        fact.wanted_zone = zone if zone != fact.zone else ""
        fact.is_active = data.draw(st.booleans(), "active")
        fact.daily, fact.monthly = data.draw(BUDGETS, "daily"), data.draw(BUDGETS, "monthly")
        fact.patience = data.draw(PATIENCE, "patience")
        fact.is_held_when_stale = data.draw(HELD_WHEN_STALE, "held when stale")
        columns = {
            "timezone": zone,
            "is_active": fact.is_active,
            "daily_budget": fact.daily,
            "monthly_budget": fact.monthly,
            **when_stale(fact),
        }
        for name, value in columns.items():
            setattr(row, name, value)
        return list(columns)

    @rule(one_pass=st.sampled_from([passes.reset, passes.check_and_pause]))
    def a_pass_runs(self, one_pass: Callable[[datetime], object]) -> None:
        self.run(one_pass)

    def run(self, one_pass: Callable[[datetime], object]) -> None:
        instants = {brand.pk: self.instant_of(brand) for brand in self.world.brands}
        uncounted = list(Spend.objects.uncounted().values_list("pk", flat=True))
        one_pass(self.now)
        counted = Spend.objects.filter(pk__in=uncounted, is_counted=True)
        for brand in self.world.brands:
            brand.look(instants[brand.pk])
            for row in counted.filter(campaign__brand_id=brand.pk):
                brand.hear(row.created_at, instants[brand.pk])
        # What a clock that went back undoes is found by the full check, a quarter of an hour later.
        if PassRecord.objects.filter(name=passes.FULL_CHECK, at=self.now).exists():
            self.clock_went_back = False
        if not self.clock_went_back:
            self.assert_decided()

    def assert_decided(self) -> None:
        states = in_force(self.world)
        for brand in self.world.brands:
            now = self.instant_of(brand)
            expected = self.world.holds(brand, now)
            assert {pk: states[pk] for pk in expected} == expected
            row = Brand.objects.get(pk=brand.pk)
            assert (row.current_timezone, row.spend_day) == (brand.zone, brand.today(now))
            assert row.last_report_at == brand.heard_at
        assert_nothing_left_to_do(self.now)

    def instant_of(self, brand: BrandFact) -> datetime:
        """Return the instant that counts: what was seen once is not unseen by five minutes.

        Ask before anything is done: its day is read then too, because a clock that went back is found
        out late.
        """
        row = Brand.objects.get(pk=brand.pk)
        brand.day, seen = row.spend_day, row.decided_at
        return seen if self.now < seen <= self.now + timedelta(minutes=5) else self.now

    @invariant()
    def totals_are_the_sums_of_the_ledger(self) -> None:
        ledger = list(Spend.objects.filter(is_counted=True).select_related("campaign"))
        for row in [*Brand.objects.all(), *Campaign.objects.all()]:
            own = [
                line
                for line in ledger
                if row in (line.campaign, line.campaign.brand) and line.date <= row.spend_day
            ]
            day, month = row.spend_day, row.spend_day.replace(day=1)
            assert row.total_daily_spend == sum(line.amount for line in own if line.date == day)
            assert row.total_monthly_spend == sum(line.amount for line in own if line.date >= month)

    @invariant()
    def the_ledger_is_what_was_written(self) -> None:
        written = Spend.objects.values_list("campaign_id", "date", "amount")
        assert sorted(written) == sorted(
            (row.campaign.pk, row.date, row.amount) for row in self.world.rows
        )

    @invariant()
    def every_change_is_in_the_log_once(self) -> None:
        assert_chained()

    @invariant()
    def nothing_runs_that_was_switched_off(self) -> None:
        for campaign in Campaign.objects.filter(is_active=True, is_enabled=False):
            # Switched off by a road that does not decide: the next pass is told.
            assert campaign.brand.due_at < self.now

    @invariant()
    def reconciliation_finds_nothing(self) -> None:
        assert reconciliation.check() == []


def test_the_life_of_an_agency_keeps_every_invariant() -> None:
    steps = settings(SEARCH, stateful_step_count=30 if IS_THOROUGH else 15)
    run_state_machine_as_test(LifeOfAnAgency, settings=steps)
