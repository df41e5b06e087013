"""What may run now: its version is another whenever the list may be, and stays while nothing moves."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection, transaction

from budgets.models import Campaign, StatusChange
from budgets.queries import serving
from budgets.services import editing, passes
from budgets.tests.builders import (
    NOW,
    decided,
    make_brand,
    make_campaign,
    spend,
    switch,
    toggle,
    write_changes,
    write_spend,
)
from budgets.tests.colleagues import Colleagues
from budgets.tests.reader import until_all_is_final
from budgets.tests.statements import plan_of, statements

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def settled() -> str:
    """Return the version once no transaction of others makes it waver."""
    until_all_is_final()
    return serving.version(None)


class TestList:
    def test_it_is_the_active_campaigns_in_their_order(self) -> None:
        brand = make_brand()
        campaigns = [make_campaign(brand) for _ in range(3)] + [make_campaign(is_enabled=False)]
        assert serving.serving(None) == []
        passes.check_and_pause(NOW)

        assert serving.serving(None) == [campaign.pk for campaign in campaigns[:3]]
        switch(campaigns[1], on=False)
        assert serving.serving(None) == [campaigns[0].pk, campaigns[2].pk]

    def test_it_is_of_the_brands_that_are_asked_for(self) -> None:
        one, two, three = (decided(make_campaign()) for _ in range(3))

        assert serving.serving([one.brand_id, three.brand_id]) == [one.pk, three.pk]
        assert serving.serving([two.brand_id]) == [two.pk]
        assert serving.serving([]) == []


class TestVersion:
    def test_every_move_makes_another_one(self) -> None:
        seen = [settled()]
        campaign = make_campaign(make_brand(daily_budget=10))
        moves: list[Callable[[], object]] = [
            lambda: passes.check_and_pause(NOW),
            lambda: spend(campaign, 10),
            lambda: spend(campaign, -1),
            lambda: switch(campaign, on=False),
            lambda: switch(campaign, on=True),
        ]
        for move in moves:
            move()
            seen.append(settled())

        assert len(set(seen)) == 1 + len(moves)

    def test_what_moves_nothing_leaves_it(self) -> None:
        campaign = decided(make_campaign(make_brand(daily_budget=10)))
        before = settled()

        spend(campaign, 3)
        write_spend(campaign, 1)
        passes.check_and_pause(NOW)
        campaign.name = "Another"
        editing.save(campaign, by="operator", now=NOW, changed=["name"])
        make_campaign()
        with transaction.atomic():
            switch(campaign, on=False)
            transaction.set_rollback(True)

        assert settled() == before

    def test_who_may_see_other_brands_has_another(self) -> None:
        one, two = make_brand().pk, make_brand().pk
        asked = [None, [], [one], [two], [one, two]]

        assert len({serving.version(brands) for brands in asked}) == len(asked)
        assert serving.version([two, one, one]) == serving.version([one, two])

    def test_its_own_transaction_sees_its_own_version(self) -> None:
        campaign = decided(make_campaign())
        before = settled()

        with transaction.atomic():
            switch(campaign, on=False)
            assert serving.version(None) != before

    @pytest.mark.postgres
    def test_commits_in_another_order_than_ids_each_make_another(
        self, colleagues: Colleagues
    ) -> None:
        one, other = decided(make_campaign()), decided(make_campaign())

        def of_everybody() -> tuple[str, list[int]]:
            return colleagues.start(lambda: (serving.version(None), serving.serving(None))).result()

        seen = [of_everybody()]
        with transaction.atomic():
            switch(one, on=False)
            colleagues.start(partial(switch, other, on=False)).result()
            seen.append(of_everybody())
        seen.append(of_everybody())

        assert [ids for _, ids in seen] == [[one.pk, other.pk], [one.pk], []]
        assert len({version for version, _ in seen}) == 3

    @pytest.mark.postgres
    def test_equal_versions_are_equal_lists_whatever_commits_beside(
        self, colleagues: Colleagues
    ) -> None:
        campaigns = [decided(make_campaign()) for _ in range(6)]
        is_over = threading.Event()

        def writer(seed: int) -> Callable[[], None]:
            dice = random.Random(seed)

            def write() -> None:
                for _ in range(20):
                    with transaction.atomic():
                        for at in sorted(dice.sample(range(6), 2)):
                            toggle(campaigns[at])
                        transaction.set_rollback(dice.random() < 0.2)

            return write

        def look() -> list[tuple[str, list[int]]]:
            seen = []
            while not is_over.is_set():
                with transaction.atomic():
                    with connection.cursor() as cursor:  # one moment for both
                        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    seen.append((serving.version(None), serving.serving(None)))
            return seen

        lookers = [colleagues.start(look) for _ in range(2)]
        colleagues.together(*[writer(seed) for seed in range(4)])
        is_over.set()

        lists: dict[str, list[int]] = {}
        for version, ids in [pair for looker in lookers for pair in looker.result()]:
            assert lists.setdefault(version, ids) == ids
        assert len(lists) > 10

    def test_it_costs_one_statement_that_looks_at_the_index_alone(self) -> None:
        campaign = decided(make_campaign())
        write_changes(campaign, 20_000)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

        (said,) = statements(lambda: serving.version([campaign.brand_id]))

        plan, table = plan_of(said), StatusChange._meta.db_table
        assert plan.count("status_change_feed") == 2
        assert f"Seq Scan on {table}" not in plan
        assert f"SCAN {table}\n" not in f"{plan}\n"


def test_a_state_written_past_the_log_is_seen_when_the_full_check_has_logged_it() -> None:
    campaign = decided(make_campaign())
    before = settled()
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Campaign._meta.db_table} SET is_active = %s, hold = 'ended' WHERE id = %s",  # noqa: S608  # our own table's name
            [False, campaign.pk],
        )
    assert serving.serving(None) == []
    assert settled() == before

    passes.full_check(NOW)

    assert serving.serving(None) == [campaign.pk]
    assert settled() != before
