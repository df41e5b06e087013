"""Rows with defaults that would run: a test states only what matters to it."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection, transaction

from budgets.models import (
    Alert,
    AlertKind,
    AlertRecipient,
    Brand,
    Campaign,
    Spend,
    StatusChange,
    WebhookDelivery,
    WebhookEndpoint,
)
from budgets.services import editing, ingestion, keys, passes, rollover, webhooks
from budgets.services.alerts import recipients, watching
from budgets.services.ingestion import Receipt, SpendEvent
from budgets.services.keys import Principal

_numbers = itertools.count(1)

RowT = TypeVar("RowT", Brand, Campaign)
Amount = Decimal | int
"""Ten is ten: a test may write 10 where the answer is Decimal("10.00")."""


def at(text: str) -> dt.datetime:
    """Return an instant written in ISO 8601 with its offset: "2026-11-24T15:00Z"."""
    instant = dt.datetime.fromisoformat(text)
    assert instant.tzinfo is not None, f"{text} names no offset"
    return instant


NOW = at("2026-11-24T15:00Z")
"""A Tuesday afternoon, far from the ends of a month and from clock changes."""
TODAY = NOW.date()


def make_brand(**fields: Any) -> Brand:
    """Create a brand without budgets, in UTC, that no pass has seen."""
    return Brand.objects.create(**{"name": f"Brand {next(_numbers)}", **fields})


def make_campaign(brand: Brand | None = None, **fields: Any) -> Campaign:
    """Create a campaign, switched on and open all day, of `brand` or of a brand of its own."""
    values = {"name": f"Campaign {next(_numbers)}", **fields}
    return Campaign.objects.create(brand=brand or make_brand(), **values)


def make_key(*brands: Brand, name: str = "ad server", scopes: Iterable[str] = ("read",)) -> str:
    """Create an API key that sees `brands`, all when none is named; return its secret."""
    return keys.create(name, scopes, brands, now=NOW)[1]


def make_webhook(
    url: str = "https://93.184.215.14/hook", **fields: Any
) -> tuple[WebhookEndpoint, str]:
    """Create an endpoint that hears of all brands; return it with its secret."""
    return webhooks.create(url, **{"now": NOW, **fields})


def deliveries_of(endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    """Return what was and is to be sent to an endpoint, oldest first."""
    return list(WebhookDelivery.objects.filter(endpoint=endpoint).order_by("pk"))


def make_recipient(address: str = "", *brands: Brand, **fields: Any) -> AlertRecipient:
    """Create a recipient that is told everything of `brands`, of all when none is named."""
    return recipients.create(
        address or f"person{next(_numbers)}@example.com",
        **{"kinds": AlertKind.values, "brands": brands or None, "now": NOW, **fields},
    )


def alerted(now: dt.datetime = NOW) -> dict[str, int]:
    """Run a pass of alerts."""
    return watching.look(now, {})


def alerts_of(row: Brand | Campaign) -> list[Alert]:
    """Return the alerts about a brand itself, or about a campaign, oldest first."""
    of = {"campaign": row} if isinstance(row, Campaign) else {"brand": row, "campaign": None}
    return list(Alert.objects.filter(**of).order_by("pk"))


def who_shows(secret: str) -> Principal:
    """Return whose secret it is; it must be somebody's."""
    principal = keys.authenticate(secret, now=NOW)
    assert principal is not None
    return principal


def is_accepted(secret: str) -> bool:
    """Tell whether a program with this secret is let in."""
    return keys.authenticate(secret, now=NOW) is not None


def everything_stored() -> str:
    """Return all that is in the database, as text."""
    texts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  # its own
            texts.append(repr(cursor.fetchall()))
    return "\n".join(texts)


def decided(row: RowT, now: dt.datetime = NOW) -> RowT:
    """Run a pass, and return `row` as it is afterwards."""
    passes.check_and_pause(now)
    row.refresh_from_db()
    return row


def event(campaign: Campaign, amount: object, **fields: Any) -> SpendEvent:
    """Return an event of `campaign`, for `record`."""
    return SpendEvent(campaign_id=campaign.pk, amount=amount, **fields)


def spend(
    campaign: Campaign,
    amount: object,
    *,
    date: dt.date | None = None,
    now: dt.datetime = NOW,
    external_id: str | None = None,
    source: str = "test",
) -> Receipt:
    """Report an amount spent at `now`, or on the local day `date`, the way platforms do."""
    occurred_at = now if date is None else None
    reported = event(campaign, amount, date=date, occurred_at=occurred_at, external_id=external_id)
    return ingestion.record([reported], source=source, now=now)


def write_spend(
    campaign: Campaign, amount: Amount | float | str, date: dt.date = TODAY, **fields: Any
) -> Spend:
    """Write a row of the ledger by the road that does not count, as a shell does."""
    return Spend.objects.create(campaign=campaign, amount=amount, date=date, **fields)


def refuse_changes_of(campaign: Campaign) -> None:
    """Have the database refuse every status change of `campaign`: a failure nobody foresaw."""
    refuse("INSERT", "budgets_statuschange", f"WHEN (NEW.campaign_id = {campaign.pk})")


def refuse(writing: str, table: str, when: str = "") -> None:
    """Have the database refuse every INSERT or UPDATE of a table's rows, or of some."""
    refused = f"BEFORE {writing} ON {table} FOR EACH ROW {when}"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                f"CREATE TRIGGER refuse {refused} BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )
        else:
            cursor.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
                "AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
            )
            cursor.execute(f"CREATE TRIGGER refuse {refused} EXECUTE FUNCTION refuse()")


@contextmanager
def deleted_at_the_writing_of(table: str, brand: Brand) -> Iterator[None]:
    """Delete `brand`, as somebody else does, just before a row of `table` is written."""

    def first_delete(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        if sql.startswith(f'INSERT INTO "{table}"'):
            Brand.objects.filter(pk=brand.pk).delete()
        return execute(sql, *more)

    with connection.execute_wrapper(first_delete):
        yield


def state(campaign: Campaign) -> str:
    """Return why the campaign is held now; empty: it is active."""
    campaign.refresh_from_db()
    assert campaign.is_active == (not campaign.hold)
    return campaign.hold


def totals(row: Brand | Campaign) -> tuple[Amount, Amount]:
    """Return what the row says was spent on its `spend_day` and in that day's month."""
    row.refresh_from_db()
    return row.total_daily_spend, row.total_monthly_spend


def log(campaign: Campaign) -> list[StatusChange]:
    """Return the campaign's status changes, oldest first."""
    return list(StatusChange.objects.filter(campaign=campaign).order_by("pk"))


def switch(*campaigns: Campaign, on: bool) -> None:
    """Throw the operator's switch: one change of each."""
    keys = [campaign.pk for campaign in campaigns]
    assert editing.set_enabled(keys, on, by="operator", now=NOW) == len(keys)


def last(campaign: Campaign) -> int:
    """Return the key of the campaign's last change."""
    return log(campaign)[-1].pk


def toggle(campaign: Campaign) -> None:
    """Throw the switch to the other side, as it is once the brand is ours."""
    with transaction.atomic():
        rollover.lock([campaign.brand_id], NOW)
        is_on = Campaign.objects.values_list("is_enabled", flat=True).get(pk=campaign.pk)
        switch(campaign, on=not is_on)


def write_changes(campaign: Campaign, count: int) -> None:
    """Write changes of one campaign to the log, at the speed of SQL."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    figures = "'{}'::jsonb" if connection.vendor == "postgresql" else "'{}'"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {StatusChange._meta.db_table} (campaign_id, at, was_active, is_active,"  # noqa: S608  # our own table's name
            f" old_hold, hold, cause, actor, figures) {numbers}"
            f" SELECT %s, %s, i %% 2 = 0, i %% 2 = 1, CASE i %% 2 WHEN 0 THEN '' ELSE 'operator' END,"
            f" CASE i %% 2 WHEN 0 THEN 'operator' ELSE '' END, 'operator', '', {figures} FROM n",
            [count, campaign.pk, NOW],
        )
