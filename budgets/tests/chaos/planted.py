"""Bugs that a trial must find: each is put into the running product, whose code knows nothing of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.apps import AppConfig
from django.utils import timezone


class Chaos(AppConfig):
    """Sets beat's clock and plants the bug, when all models are there and before any work is done."""

    name = "budgets.tests.chaos"
    label = "chaos"

    def ready(self) -> None:
        """Change this process alone."""
        _have_beat_use_our_clock()
        if bug := os.environ.get("CHAOS_BUG"):
            BUGS[bug].plant()


def _have_beat_use_our_clock() -> None:
    # What it writes down; when a message expires stays the machine's time, as brokers see it.
    from django_celery_beat.schedulers import ModelEntry

    ModelEntry._default_now = lambda _entry: timezone.now()


@dataclass(frozen=True, slots=True)
class Bug:
    """How to plant it, and the invariants of which one must break."""

    words: str
    breaks: frozenset[str]
    plant: Callable[[], None]


def _not_one_transaction() -> None:
    from budgets.services import ingestion

    def in_pieces(work: Callable[[], Any]) -> Any:
        return work()

    ingestion.settle = in_pieces  # type: ignore[attr-defined]  # imported there


def _read_modify_write() -> None:
    from django.db import connection

    from budgets.models import Brand, Campaign, sets
    from budgets.services import totals
    from budgets.services.totals import Account, Addend

    def read_then_write(model: type[Campaign | Brand], addends: Mapping[int, Addend]) -> None:
        table = model._meta.db_table
        with connection.cursor() as cursor:
            for pk, added in sorted(addends.items()):
                cursor.execute(
                    "SELECT total_daily_spend, total_monthly_spend, pg_sleep(0.02)"  # noqa: S608  # ours
                    f" FROM {table} WHERE id = %s",
                    [pk],
                )
                today, this_month, _ = cursor.fetchone()
                cursor.execute(
                    f"UPDATE {table} SET total_daily_spend = %s, total_monthly_spend = %s"  # noqa: S608  # ours
                    " WHERE id = %s",
                    [today + added.today, this_month + added.this_month, pk],
                )

    def add(campaigns: Mapping[int, Addend], brands: Mapping[int, Addend]) -> list[Account]:
        read_then_write(Brand, brands)
        read_then_write(Campaign, campaigns)
        return list(totals.accounts(campaigns).values())

    def no_lock(*, waiting: bool = True, of: str = "") -> str:
        return ""

    sets.lock = no_lock
    totals.add = add


def _counting_duplicates() -> None:
    from budgets.services import ingestion
    from budgets.services.ingestion import Batch, Line

    insert = ingestion.insert

    def all_new(lines: Sequence[Line], batch: Batch) -> set[str]:
        insert(lines, batch)
        return {line.external_id for line in lines if line.external_id is not None}

    ingestion.insert = all_new


def _sent_before_sending() -> None:
    from budgets.models import DeliveryState, WebhookDelivery
    from budgets.services import deliveries

    claim = deliveries._claim

    def claim_as_done(now: datetime, room: int) -> list[Any]:
        parcels = claim(now, room)
        WebhookDelivery.objects.filter(pk__in=[it.delivery_id for it in parcels]).update(
            state=DeliveryState.DELIVERED, is_sending=False
        )
        return parcels

    deliveries._claim = claim_as_done


def _pause_left_to_the_sweep() -> None:
    from budgets.models import Brand
    from budgets.services import enforcement
    from budgets.services.enforcement import Outcome, Trigger
    from budgets.services.rollover import Moment

    enforce = enforcement.enforce

    def later(moments: Sequence[Moment], *, trigger: Trigger, **others: Any) -> Outcome:
        if trigger is not Trigger.SPEND:
            return enforce(moments, trigger=trigger, **others)
        for moment in moments:
            Brand.objects.filter(pk=moment.brand.pk).write(due_at=moment.now)
        return Outcome()

    enforcement.enforce = later


def _manual_pause_lost_at_rollover() -> None:
    from budgets.models import Campaign
    from budgets.services import rollover
    from budgets.services.rollover import BrandRow, Turned

    turn = rollover.turn_brands

    def all_on(brands: Iterable[BrandRow], now: datetime, *, thoroughly: bool = True) -> Turned:
        turned = turn(brands, now, thoroughly=thoroughly)
        ids = [moment.brand.pk for moment in turned.moments if moment.has_turned]
        Campaign.objects.filter(brand_id__in=ids).write(is_enabled=True)
        return turned

    rollover.turn_brands = all_on


def _acknowledged_and_lost() -> None:
    from budgets.services import ingestion
    from budgets.services.ingestion import RECORDED, Receipt, SpendEvent

    record = ingestion.record

    def all_but_the_last(events: Sequence[SpendEvent], *, source: str, now: datetime) -> Receipt:
        receipt = record(events[:-1], source=source, now=now)
        return replace(receipt, results=(*receipt.results, RECORDED))

    ingestion.record = all_but_the_last


def _green_whatever_happens() -> None:
    from budgets.health.checks import Report

    Report.is_ok = True  # type: ignore[assignment,method-assign]  # a property until now


BUGS = {
    "not-one-transaction": Bug(
        "spend, totals and decision committed apart", frozenset({"I1"}), _not_one_transaction
    ),
    "read-modify-write": Bug(
        "totals read, added to and written, without a lock", frozenset({"I1"}), _read_modify_write
    ),
    "counting-duplicates": Bug(
        "an id that is known counts again", frozenset({"I1"}), _counting_duplicates
    ),
    "sent-before-sending": Bug(
        "a delivery marked delivered before it is sent", frozenset({"I5"}), _sent_before_sending
    ),
    "pause-left-to-the-sweep": Bug(
        "spend is counted, the pause comes with the next pass",
        frozenset({"I7b"}),
        _pause_left_to_the_sweep,
    ),
    "manual-pause-lost": Bug(
        "a new day switches on what a person switched off",
        frozenset({"I8"}),
        _manual_pause_lost_at_rollover,
    ),
    "acknowledged-and-lost": Bug(
        "the last event of a batch is acknowledged and not written",
        frozenset({"I6"}),
        _acknowledged_and_lost,
    ),
    "green-whatever-happens": Bug(
        "health does not look at the age of the passes", frozenset({"I16"}), _green_whatever_happens
    ),
}
