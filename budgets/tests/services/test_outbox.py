"""Deliveries are written with the change that they tell of, for whom it concerns."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection, transaction

from budgets.core.decision import Hold
from budgets.models import Campaign, WebhookDelivery, WebhookEvent
from budgets.services import deliveries, passes, webhooks
from budgets.services.outbound import Reply
from budgets.tests.builders import (
    NOW,
    alerted,
    alerts_of,
    decided,
    deliveries_of,
    last,
    make_brand,
    make_campaign,
    make_webhook,
    spend,
    switch,
)
from budgets.tests.statements import statements

pytestmark = pytest.mark.django_db

TABLES = ("budgets_webhookendpoint", "budgets_webhookdelivery")


def test_a_pause_is_told_with_all_that_decided() -> None:
    campaign = decided(
        make_campaign(make_brand(name="Acme", daily_budget=10), name="Tents", external_id="t-1")
    )
    endpoint, _ = make_webhook()

    spend(campaign, "10.50")

    (delivery,) = deliveries_of(endpoint)
    assert (delivery.event, delivery.state, delivery.attempts) == (
        "campaign.paused",
        "pending",
        0,
    )
    assert delivery.status_change_id == last(campaign)
    assert (delivery.due_at, delivery.created_at) == (NOW, NOW)
    assert json.loads(delivery.body) == {
        "type": "campaign.paused",
        "timestamp": "2026-11-24T15:00:00+00:00",
        "data": {
            "sequence": last(campaign),
            "campaign": {"id": campaign.pk, "external_id": "t-1", "name": "Tents"},
            "brand": {"id": campaign.brand_id, "name": "Acme"},
            "is_active": False,
            "was_active": True,
            "hold": "brand_daily_budget",
            "old_hold": "",
            "cause": "spend",
            "figures": {
                "holds": ["brand_daily_budget"],
                "currency": "USD",
                "spent": "10.50",
                "budget": "10.00",
            },
        },
    }


def test_each_kind_of_change_is_an_event_of_its_own() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    endpoint, _ = make_webhook()

    spend(campaign, 10)
    switch(campaign, on=False)
    switch(campaign, on=True)
    spend(campaign, -1)

    rows = deliveries_of(endpoint)
    assert [row.event for row in rows] == [
        "campaign.paused",
        "campaign.hold_changed",
        "campaign.hold_changed",
        "campaign.resumed",
    ]
    sequence = [json.loads(row.body)["data"]["sequence"] for row in rows]
    assert sequence == sorted(set(sequence))
    assert [json.loads(row.body)["type"] for row in rows] == [row.event for row in rows]


def test_who_did_not_choose_an_event_is_not_told_of_it() -> None:
    campaign = decided(make_campaign())
    endpoint, _ = make_webhook(events=[WebhookEvent.RESUMED])

    switch(campaign, on=False)
    switch(campaign, on=True)

    assert [row.event for row in deliveries_of(endpoint)] == ["campaign.resumed"]


def test_who_may_not_see_a_brand_is_not_told_of_it() -> None:
    acme, bolt = decided(make_campaign()), decided(make_campaign())
    of_acme, _ = make_webhook(brands=[acme.brand])
    of_nobody, _ = make_webhook(brands=[bolt.brand])
    of_nobody.brands.clear()
    of_all, _ = make_webhook()

    switch(acme, bolt, on=False)

    told = [
        [row.status_change_id for row in deliveries_of(it)] for it in (of_acme, of_nobody, of_all)
    ]
    assert told == [[last(acme)], [], [last(acme), last(bolt)]]


def test_a_disabled_one_is_told_nothing() -> None:
    campaign = decided(make_campaign())
    endpoint, _ = make_webhook()
    webhooks.disable(endpoint, reason="A person did.")

    switch(campaign, on=False)

    assert deliveries_of(endpoint) == []


def test_all_that_hear_of_a_change_are_sent_the_same() -> None:
    campaign = decided(make_campaign())
    endpoints = [make_webhook()[0] for _ in range(3)]

    switch(campaign, on=False)

    assert len({row.body for it in endpoints for row in deliveries_of(it)}) == 1


def test_a_change_that_is_rolled_back_takes_its_delivery_with_it() -> None:
    campaign = decided(make_campaign(make_brand(daily_budget=10)))
    endpoint, _ = make_webhook()

    with transaction.atomic():
        spend(campaign, 10)
        assert len(deliveries_of(endpoint)) == 1
        transaction.set_rollback(True)

    assert deliveries_of(endpoint) == []
    assert Campaign.objects.get(pk=campaign.pk).is_active


def test_what_raw_sql_did_is_told_when_the_full_check_finds_it() -> None:
    campaign = decided(make_campaign())
    endpoint, _ = make_webhook()
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Campaign._meta.db_table} SET is_active = %s, hold = %s WHERE id = %s",  # noqa: S608  # our own table's name
            [False, Hold.ENDED, campaign.pk],
        )

    passes.full_check(NOW)

    assert [row.event for row in deliveries_of(endpoint)] == ["campaign.paused", "campaign.resumed"]


def test_hostile_names_stay_names() -> None:
    name = '"},{"x\\": <script>\u202e\U0001f600'
    campaign = decided(make_campaign(name=name))
    endpoint, _ = make_webhook()

    switch(campaign, on=False)

    (row,) = deliveries_of(endpoint)
    assert json.loads(row.body)["data"]["campaign"]["name"] == name
    assert row.body.isascii()


def test_without_endpoints_a_change_costs_one_question() -> None:
    campaigns = [decided(make_campaign()) for _ in range(3)]

    said = statements(lambda: switch(*campaigns, on=False))

    assert [sql for sql in said if any(table in sql for table in TABLES)] == [
        'SELECT id, events, is_restricted FROM "budgets_webhookendpoint" WHERE is_enabled'
    ]
    assert not WebhookDelivery.objects.exists()


def test_what_changes_nothing_asks_nothing() -> None:
    campaign = decided(make_campaign())
    make_webhook()

    said = statements(lambda: spend(campaign, 1))

    assert not [sql for sql in said if any(table in sql for table in TABLES)]


def test_a_hundred_changes_cost_as_many_statements_as_one() -> None:
    make_webhook()
    make_webhook(brands=[make_brand()])
    brand = make_brand()
    one = decided(make_campaign())
    many = [make_campaign(brand) for _ in range(100)]
    passes.check_and_pause(NOW)

    few = statements(lambda: switch(one, on=False))
    much = statements(lambda: switch(*many, on=False))

    assert len(much) == len(few)
    assert WebhookDelivery.objects.filter(status_change__campaign__brand=brand).count() >= 100


class TestAlerts:
    def test_a_threshold_is_told_once_to_each_that_chose_it(self) -> None:
        brand = make_brand(name="Acme", daily_budget=100)
        campaign = decided(make_campaign(brand))
        chose, _ = make_webhook(events=["budget.threshold_reached"])
        by_default, _ = make_webhook()
        of_others, _ = make_webhook(events=["budget.threshold_reached"], brands=[make_brand()])

        spend(campaign, 85)
        for _ in range(3):
            alerted()

        (alert,) = alerts_of(brand)
        (delivery,) = deliveries_of(chose)
        assert (delivery.event, delivery.alert_id, delivery.status_change_id) == (
            "budget.threshold_reached",
            alert.pk,
            None,
        )
        assert json.loads(delivery.body) == {
            "type": "budget.threshold_reached",
            "timestamp": "2026-11-24T15:00:00+00:00",
            "data": {
                "alert": alert.pk,
                "brand": {"id": brand.pk, "name": "Acme"},
                "budget": "brand_daily_budget",
                "period": "2026-11-24",
                "threshold": 80,
                "figures": {"spent": "85.00", "budget": "100.00", "currency": "USD"},
            },
        }
        assert (deliveries_of(by_default), deliveries_of(of_others)) == ([], [])

    def test_a_silent_campaign_is_named_and_has_no_sequence(self) -> None:
        brand = make_brand(alert_silence_hours=4)
        campaign = decided(make_campaign(brand, name="Tents", external_id="t-1"))
        endpoint, _ = make_webhook(events=["campaign.silent", "reports.stale"])

        alerted(NOW + timedelta(hours=4))

        (delivery,) = deliveries_of(endpoint)
        said = json.loads(delivery.body)
        assert (said["type"], delivery.event) == ("campaign.silent", "campaign.silent")
        assert said["data"]["campaign"] == {
            "id": campaign.pk,
            "external_id": "t-1",
            "name": "Tents",
        }
        assert "sequence" not in said["data"]

    def test_an_alert_is_sent_as_everything_else(self) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=100)))
        endpoint, _ = make_webhook(events=["budget.threshold_reached"])
        spend(campaign, 85)
        alerted()

        counts = deliveries.deliver(NOW, send=lambda url, headers, body: Reply(204))

        assert counts == {"sent": 1, "delivered": 1}
        assert [row.state for row in deliveries_of(endpoint)] == ["delivered"]
