"""The feed: whatever commits when, a reader that goes on from its cursor gets every change once."""

from __future__ import annotations

import base64
import random
import threading
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection, transaction

from budgets.models import Campaign, StatusChange
from budgets.queries import feed
from budgets.queries.feed import Cursor, CursorAhead
from budgets.services import rollover
from budgets.tests.builders import (
    NOW,
    decided,
    last,
    log,
    make_brand,
    make_campaign,
    switch,
    toggle,
    write_changes,
)
from budgets.tests.colleagues import Colleagues
from budgets.tests.reader import Reader, assert_told_once_and_in_sequence, until_all_is_final
from budgets.tests.statements import plan_of, statements
from budgets.tests.waiting import PATIENCE

# What is not committed is not told, on PostgreSQL not even to the transaction that wrote it.
pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


class Turn:
    """A transaction that writes, waits until it may go on, writes of what others write too, commits."""

    def __init__(self, own: Campaign) -> None:
        self._own = own
        self.has_written = threading.Event()
        self.may_commit = threading.Event()

    def take(self, shared: Campaign) -> None:
        with transaction.atomic():
            toggle(self._own)
            self.has_written.set()
            assert self.may_commit.wait(PATIENCE)
            # All have their numbers by now, and they get here in another order.
            toggle(shared)


class TestPages:
    def test_every_change_comes_once_in_its_order_with_its_campaign(self) -> None:
        one, other = decided(make_campaign()), decided(make_campaign())
        switch(one, on=False)
        switch(other, on=False)
        switch(one, on=True)
        until_all_is_final()

        page = feed.changes(None, 100, None)

        assert [(change.campaign.name, change.hold) for change in page.changes] == [
            (one.name, ""),
            (other.name, ""),
            (one.name, "operator"),
            (other.name, "operator"),
            (one.name, ""),
        ]
        assert not page.has_more
        assert feed.changes(page.cursor, 100, None).changes == []

    @pytest.mark.parametrize("limit", [1, 2, 5, 6])
    def test_pages_of_any_size_tell_the_same(self, limit: int) -> None:
        campaigns = [decided(make_campaign()) for _ in range(4)]
        switch(*campaigns[:2], on=False)
        until_all_is_final()

        reader, has_more = Reader(limit=limit), True
        sizes: list[int] = []
        while has_more:
            page = feed.changes(reader.after if sizes else None, limit, None)
            reader.after, has_more = page.cursor, page.has_more
            reader.seen += [change.pk for change in page.changes]
            sizes.append(len(page.changes))

        assert_told_once_and_in_sequence(reader)
        assert sizes == {1: [1] * 6, 2: [2] * 3, 5: [5, 1], 6: [6]}[limit]

    def test_an_empty_log_has_a_cursor_to_go_on_from(self) -> None:
        page = feed.changes(None, 10, None)
        assert (page.changes, page.has_more) == ([], False)

        campaign = decided(make_campaign())

        Reader(page.cursor).until_told(last(campaign))

    def test_from_now_on_tells_what_comes_and_nothing_of_before(self) -> None:
        campaign = decided(make_campaign())
        until_all_is_final()
        reader = Reader("now")
        assert reader.poll() == []

        switch(campaign, on=False)

        reader.until_told(last(campaign))
        assert reader.seen == [last(campaign)]

    def test_a_restricted_reader_is_told_of_its_brands_alone(self) -> None:
        brands = [make_brand() for _ in range(3)]
        campaigns = [decided(make_campaign(brand)) for brand in brands]
        for campaign in campaigns:
            switch(campaign, on=False)
        until_all_is_final()

        reader = Reader(limit=1, brand_ids=[brands[0].pk, brands[2].pk])
        reader.poll()

        told = StatusChange.objects.in_bulk(reader.seen)
        assert [told[pk].campaign_id for pk in reader.seen] == [
            campaigns[0].pk,
            campaigns[2].pk,
            campaigns[0].pk,
            campaigns[2].pk,
        ]
        assert Reader(brand_ids=[]).poll() == []

    def test_a_restricted_reader_looks_through_a_piece_at_a_time_and_never_again(self) -> None:
        ours, theirs = decided(make_campaign()), decided(make_campaign())
        write_changes(theirs, feed.SCANNED)
        switch(ours, on=False)
        until_all_is_final()
        brand_ids = [ours.brand_id]

        first = feed.changes(None, 10, brand_ids)
        second = feed.changes(first.cursor, 10, brand_ids)
        third = feed.changes(second.cursor, 10, brand_ids)

        assert [change.campaign_id for change in first.changes] == [ours.pk]
        assert first.has_more
        assert [change.hold for change in second.changes] == ["operator"]
        assert not second.has_more
        assert (third.changes, third.has_more) == ([], False)
        assert first.cursor < second.cursor <= third.cursor

    def test_a_piece_without_any_of_ours_is_an_empty_page_with_more_behind_it(self) -> None:
        theirs = decided(make_campaign())
        write_changes(theirs, feed.SCANNED)
        until_all_is_final()

        page = feed.changes(None, 10, [make_brand().pk])

        assert (page.changes, page.has_more) == ([], True)
        assert page.cursor.id == StatusChange.objects.order_by("-pk")[1].pk

    def test_a_page_looks_at_the_index_of_the_feed(self) -> None:
        campaign = decided(make_campaign())
        write_changes(campaign, 20_000)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        until_all_is_final()
        middle = feed.changes(None, 10_000, None).cursor

        log_table = StatusChange._meta.db_table
        for brand_ids in (None, [campaign.brand_id]):
            said = statements(partial(feed.changes, middle, 100, brand_ids))
            assert len(said) == 2
            plan = plan_of(said[0])
            assert "status_change_feed" in plan
            assert f"Seq Scan on {log_table}" not in plan
            assert f"SCAN {log_table}" not in plan
            if connection.vendor == "postgresql":
                # Both ends are conditions of the index: what lies before the cursor is not read.
                assert "Index Cond: ((ROW(xid, id) > ROW(" in plan
                assert "AND (ROW(xid, id) <= ROW((" in plan


class TestCursor:
    @pytest.mark.parametrize("cursor", [Cursor(0, 0), Cursor(2**63 - 1, 7), Cursor(12, 2**63 - 1)])
    def test_it_comes_back_as_it_was_written(self, cursor: Cursor) -> None:
        assert Cursor.parse(str(cursor)) == cursor
        assert str(cursor).replace("-", "").replace("_", "").isalnum()  # fits a URL as it is

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0",
            "now",
            "17",
            "Zürich",
            "\0",
            "A" * 24,
            "A" * 23,
            "A" * 10_000,
            str(Cursor(1, 1)) + "=",
            " " + str(Cursor(1, 1)),
            str(Cursor(2**63 - 1, 2**63 - 1)).replace("_", "/"),
            str(Cursor(1, 1))[:-4],
            base64.urlsafe_b64encode(b"\0\1" + b"\xff" * 16).decode(),
            base64.urlsafe_b64encode(b"\0\2" + b"\0" * 16).decode(),
        ],
    )
    def test_what_is_no_cursor_is_refused_in_words(self, text: str) -> None:
        with pytest.raises(ValueError, match="after: this is no cursor of ours"):
            Cursor.parse(text)

    def test_one_of_a_later_state_is_refused_instead_of_waiting_for_ever(self) -> None:
        decided(make_campaign())
        finish = feed.changes("now", 1, None).cursor

        with pytest.raises(CursorAhead, match="restored"):
            feed.changes(Cursor(finish.xid + 10**9, 1), 10, None)


class TestConcurrentWriters:
    @pytest.mark.postgres
    def test_who_wrote_first_and_commits_last_is_not_missed(self, colleagues: Colleagues) -> None:
        one, other = decided(make_campaign()), decided(make_campaign())
        until_all_is_final()
        reader = Reader("now")

        with transaction.atomic():
            switch(one, on=False)
            colleagues.start(lambda: switch(other, on=False)).result()
            assert colleagues.start(reader.poll).result() == []  # held back, the later one too
        reader.until_told(last(one), last(other))

        assert reader.poll() == []
        assert reader.seen == [last(one), last(other)]

    @pytest.mark.postgres
    def test_a_campaigns_changes_follow_each_other_whoever_began_first(
        self, colleagues: Colleagues
    ) -> None:
        first, second = decided(make_campaign()), decided(make_campaign())
        until_all_is_final()
        reader = Reader("now")

        with transaction.atomic():
            rollover.lock(
                [first.brand_id], NOW
            )  # This transaction has its number now, the lower one.
            colleagues.start(lambda: switch(second, on=False)).result()
            switch(second, on=True)
        paused, resumed = log(second)[-2:]
        reader.until_told(paused.pk, resumed.pk)

        assert reader.seen == [paused.pk, resumed.pk]

    @pytest.mark.postgres
    def test_a_long_transaction_holds_the_feed_back_and_nothing_is_lost(
        self, colleagues: Colleagues
    ) -> None:
        idle, campaigns = decided(make_campaign()), [decided(make_campaign()) for _ in range(5)]
        until_all_is_final()
        reader = Reader("now", limit=2)

        with transaction.atomic():
            rollover.lock([idle.brand_id], NOW)
            for campaign in campaigns:
                colleagues.start(partial(switch, campaign, on=False)).result()
                assert colleagues.start(reader.poll).result() == []
        reader.until_told(*map(last, campaigns))

        assert reader.seen == list(map(last, campaigns))

    @pytest.mark.postgres
    def test_what_is_rolled_back_is_never_told(self, colleagues: Colleagues) -> None:
        one, other = decided(make_campaign()), decided(make_campaign())
        until_all_is_final()
        reader = Reader("now")

        with transaction.atomic():
            switch(one, on=False)
            colleagues.start(lambda: switch(other, on=False)).result()
            transaction.set_rollback(True)
        reader.until_told(last(other))

        assert reader.seen == [last(other)]

    @pytest.mark.postgres
    @pytest.mark.parametrize("seed", range(4))
    def test_commits_in_any_order_are_told_once_and_in_sequence(
        self, colleagues: Colleagues, seed: int
    ) -> None:
        dice = random.Random(seed)
        own = [decided(make_campaign()) for _ in range(6)]
        shared = decided(make_campaign())
        reader = Reader(limit=3)

        for _ in range(5):
            turns = [Turn(campaign) for campaign in own]
            writers = [
                colleagues.start(partial(turn.take, shared)) for turn in dice.sample(turns, 6)
            ]
            for turn in turns:
                assert turn.has_written.wait(PATIENCE)
            for turn in dice.sample(turns, 6):
                turn.may_commit.set()
                reader.poll()
            for writer in writers:
                writer.result()
                reader.poll()

        reader.until_told(*StatusChange.objects.values_list("pk", flat=True))
        assert len(reader.seen) == 7 + 5 * 6 * 2
        assert_told_once_and_in_sequence(reader)

    def test_a_reader_beside_busy_writers_is_told_each_change_once(
        self, colleagues: Colleagues
    ) -> None:
        campaigns = [decided(make_campaign()) for _ in range(6)]
        readers = [Reader(limit=7), Reader(limit=100)]
        is_over = threading.Event()

        def writer(seed: int) -> Callable[[], None]:
            dice = random.Random(seed)

            def write() -> None:
                for _ in range(15):
                    with transaction.atomic():
                        # In the order of their brands, which everybody locks in.
                        for at in sorted(dice.sample(range(6), 3)):
                            toggle(campaigns[at])
                        transaction.set_rollback(dice.random() < 0.2)

            return write

        def follow(reader: Reader) -> Callable[[], None]:
            def read() -> None:
                while not is_over.is_set():
                    reader.poll()

            return read

        following = [colleagues.start(follow(reader)) for reader in readers]
        colleagues.together(*[writer(seed) for seed in range(3)])
        is_over.set()
        for work in following:
            work.result()

        for reader in readers:
            reader.until_told(*StatusChange.objects.values_list("pk", flat=True))
            assert_told_once_and_in_sequence(reader)
