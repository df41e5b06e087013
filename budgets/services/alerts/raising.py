"""Write alerts: each once, and with it who is told. The only writer of `Alert`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from django.db import connection

from budgets.models import (
    Alert,
    AlertKind,
    AlertMessage,
    AlertRecipient,
    Brand,
    Campaign,
    WebhookEvent,
    sets,
)
from budgets.services import access, outbox
from budgets.services.outbox import Listener, ToTell
from budgets.services.transactions import ROWS, settle

EVENTS: dict[str, WebhookEvent] = {
    AlertKind.THRESHOLD: WebhookEvent.THRESHOLD,
    AlertKind.SILENT: WebhookEvent.SILENT,
    AlertKind.REPORTS_STALE: WebhookEvent.REPORTS_STALE,
    AlertKind.PASSES_STALE: WebhookEvent.PASSES_STALE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What should have been told by now; whether it was, the database knows.

    Of news with the same `topic` everybody is told the weightiest that they want to hear.
    """

    kind: AlertKind
    brand: Brand | None = None
    campaign: Campaign | None = None
    budget: str = ""
    period: str
    threshold: int = 0
    topic: tuple[object, ...]
    weight: int = 0
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> int:
        """The key of what it is about."""
        row = self.campaign or self.brand
        return row.pk if row else 0

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What makes it the same as another one."""
        return (self.kind.value, self.budget, self.period, self.subject, self.threshold)

    @property
    def brand_id(self) -> int | None:
        """The brand's key."""
        return self.brand.pk if self.brand else None

    def stored_figures(self) -> dict[str, Any]:
        """Return the figures, with the names as they are now."""
        names = {
            "brand": self.brand and self.brand.name,
            "campaign": self.campaign and self.campaign.name,
        }
        return {**{what: name for what, name in names.items() if name}, **self.figures}


class _Recipient(NamedTuple):
    """Whom to write to; `brand_ids` of one that is told of all brands is ``None``."""

    pk: int
    address: str
    kinds: frozenset[str]
    sights: tuple[frozenset[int] | None, ...]
    """All of which must contain a brand: what was chosen, and what the person may see."""

    def wants(self, news: News) -> bool:
        return news.kind in self.kinds and all(
            sight is None or news.brand_id in sight for sight in self.sights
        )


def write(news: Iterable[News], now: datetime) -> int:
    """Raise what was not raised before, tell whom it concerns, and return how many that were."""
    # In one order, as every pass does: else two would wait for each other.
    ordered = sorted({one.key: one for one in news}.values(), key=lambda one: one.key)
    if not ordered:
        return 0
    return settle(lambda: _write(ordered, now))


def _write(news: Sequence[News], now: datetime) -> int:
    raised = _insert(news, now)
    if raised:
        _mark_superseded(raised)
        _write_messages(raised, now)
        _write_deliveries(raised, now)
    return len(raised)


def _insert(news: Sequence[News], now: datetime) -> dict[int, News]:
    """Insert those that are not there; return them by the key they got."""
    rows, params = sets.table(
        "news",
        kind=("text", [one.kind.value for one in news]),
        brand_id=("bigint", [one.brand_id for one in news]),
        campaign_id=("bigint", [one.campaign.pk if one.campaign else None for one in news]),
        budget=("text", [one.budget for one in news]),
        subject=("bigint", [one.subject for one in news]),
        period=("text", [one.period for one in news]),
        threshold=("int", [one.threshold for one in news]),
        figures=("text", [json.dumps(one.stored_figures()) for one in news]),
    )
    figures = "figures::jsonb" if connection.vendor == "postgresql" else "figures"
    key = "kind, budget, period, subject, threshold"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {sets.name_of(Alert)} ({key}, brand_id, campaign_id, figures, raised_at)"  # noqa: S608  # names of ours
            # The condition tells SQLite that what follows is no join.
            f" SELECT {key}, brand_id, campaign_id, {figures}, %s FROM {rows} WHERE TRUE"
            f" ON CONFLICT ({key}) DO NOTHING RETURNING id, {key}",
            [connection.ops.adapt_datetimefield_value(now), *params],
        )
        by_key = {one.key: one for one in news}
        return {pk: by_key[tuple(found)] for pk, *found in cursor.fetchall()}


def _told(raised: dict[int, News], wants: Callable[[News], bool]) -> list[int]:
    """Return of each topic the weightiest that is wanted."""
    wanted = {pk: one for pk, one in raised.items() if wants(one)}
    weights: dict[tuple[object, ...], int] = {}
    for one in wanted.values():
        weights[one.topic] = max(one.weight, weights.get(one.topic, one.weight))
    return [pk for pk, one in wanted.items() if one.weight == weights[one.topic]]


def _mark_superseded(raised: dict[int, News]) -> None:
    told = set(_told(raised, lambda _: True))
    if superseded := [pk for pk in raised if pk not in told]:
        Alert.objects.filter(pk__among=superseded).update(is_superseded=True)


def _recipients() -> list[_Recipient]:
    rows = list(AlertRecipient.objects.enabled().select_related("user").order_by("pk"))
    pairs = AlertRecipient.brands.through.objects.filter(
        alertrecipient_id__among=[row.pk for row in rows if row.is_restricted]
    )
    chosen: dict[int, set[int]] = {}
    for pk, brand_id in pairs.values_list("alertrecipient_id", "brand_id"):
        chosen.setdefault(pk, set()).add(brand_id)
    found = []
    for row in rows:
        own = frozenset(chosen.get(row.pk, ())) if row.is_restricted else None
        if row.user is None:
            sights: tuple[frozenset[int] | None, ...] = (own,)
        elif row.user.is_active:
            sights = (own, access.person(row.user).brand_ids)
        else:
            continue
        found.append(_Recipient(row.pk, row.address, frozenset(row.kind_list), sights))
    return found


def _write_messages(raised: dict[int, News], now: datetime) -> None:
    messages = [
        AlertMessage(
            alert_id=pk,
            recipient_id=recipient.pk,
            address=recipient.address,
            due_at=now,
            created_at=now,
        )
        for recipient in _recipients()
        for pk in _told(raised, recipient.wants)
    ]
    AlertMessage.objects.bulk_create(messages, batch_size=ROWS)


def _write_deliveries(raised: dict[int, News], now: datetime) -> None:
    told: list[ToTell] = []
    for listener in outbox.listeners():
        told += [
            ToTell(listener.pk, pk, EVENTS[raised[pk].kind].value, now, _data(pk, raised[pk]))
            for pk in _told(raised, partial(_hears, listener))
        ]
    outbox.write_alerts(told)


def _hears(listener: Listener, news: News) -> bool:
    return listener.wants(EVENTS[news.kind], news.brand_id)


def _data(pk: int, news: News) -> dict[str, Any]:
    """Return what a webhook is told. No `sequence`: an alert changes no state."""
    data: dict[str, Any] = {"alert": pk}
    if news.brand:
        data["brand"] = {"id": news.brand.pk, "name": news.brand.name}
    if news.campaign:
        campaign = news.campaign
        data["campaign"] = {
            "id": campaign.pk,
            "external_id": campaign.external_id,
            "name": campaign.name,
        }
    if news.budget:
        data |= {"budget": news.budget, "period": news.period, "threshold": news.threshold}
    return {**data, "figures": news.figures}
