"""Totals are added to in sets, alike on both databases, and the brands of campaigns locked in one."""

from __future__ import annotations

import pytest
from django.db import transaction

from budgets.core import money
from budgets.models import Brand, Campaign
from budgets.models.brand import NEVER
from budgets.services import counting, rollover, totals
from budgets.services.totals import Account, Addend, TotalTooLarge
from budgets.tests.builders import NOW, TODAY, make_brand, make_campaign

pytestmark = pytest.mark.django_db


def test_addends_reach_campaigns_and_brands_and_nobody_else() -> None:
    first, second = make_campaign(daily_budget=5), make_campaign(monthly_budget=6)
    other = make_campaign()
    late = Addend(this_month=7)

    found = totals.add(
        {first.pk: Addend(3, 4), second.pk: late, other.pk: Addend()},
        {first.brand_id: Addend(3, 4), second.brand_id: late},
    )

    assert sorted(found) == [
        Account(first.pk, first.brand_id, 3, 4, 5 * money.MICROS, None),
        Account(second.pk, second.brand_id, 0, 7, None, 6 * money.MICROS),
    ]
    for model, pks in (
        (Campaign, [first.pk, second.pk, other.pk]),
        (Brand, [first.brand_id, second.brand_id, other.brand_id]),
    ):
        stored = model.objects.in_bulk(pks)
        micros = [
            (
                money.to_micros(stored[pk].total_daily_spend),
                money.to_micros(stored[pk].total_monthly_spend),
            )
            for pk in pks
        ]
        assert micros == [(3, 4), (0, 7), (0, 0)], model


def test_accounts_are_those_that_adding_returned() -> None:
    campaign = make_campaign(monthly_budget=2)
    found = totals.add({campaign.pk: Addend(1, 1)}, {campaign.brand_id: Addend(1, 1)})
    assert totals.accounts([campaign.pk]) == {account.pk: account for account in found}


def test_a_sum_that_no_total_holds_is_noticed() -> None:
    campaign = make_campaign()
    most = Addend(money.MAX_TOTAL, money.MAX_TOTAL)
    totals.add({campaign.pk: most}, {campaign.brand_id: most})
    one = Addend(1, 1)

    def add() -> None:
        with transaction.atomic():
            [account] = totals.add({campaign.pk: one}, {})  # PostgreSQL refuses here
            counting.is_crossed(account, one)

    with pytest.raises(TotalTooLarge):
        add()

    [account] = totals.accounts([campaign.pk]).values()
    assert account.spent_today == money.MAX_TOTAL


def test_brands_of_campaigns_are_found_once_and_in_order() -> None:
    brands = [make_brand(), make_brand()]
    campaigns = [make_campaign(brands[1]), make_campaign(brands[0]), make_campaign(brands[1])]
    make_campaign(brands[0])
    Campaign.objects.filter(pk=campaigns[2].pk).write(spend_day=TODAY)
    Campaign.objects.filter(pk=campaigns[1].pk).write(spend_day=TODAY)
    ids = [campaign.pk for campaign in campaigns]

    with transaction.atomic():
        found = rollover.lock_of([*ids, max(ids) + 1000], NOW)
        expected = rollover.read([brand.pk for brand in brands], NOW)

    assert [locked.brand for locked in found] == expected
    assert [sorted(locked.campaigns) for locked in found] == [[ids[1]], [ids[0], ids[2]]]
    assert [locked.oldest_day for locked in found] == [TODAY, NEVER]
