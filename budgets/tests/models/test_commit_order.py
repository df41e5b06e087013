"""Where a change stands in the log: the database says it, on every road and in every cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from budgets.models import Campaign, Cause, StatusChange
from budgets.models.commit_order import SHIFT, Stamp
from budgets.queries import serving
from budgets.queries.feed import Cursor, CursorAhead
from budgets.services import reconciliation
from budgets.tests.builders import NOW, decided, last, make_campaign, switch
from budgets.tests.colleagues import asked
from budgets.tests.reader import Reader, assert_told_once_and_in_sequence, until_all_is_final

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

LOG = StatusChange._meta.db_table
AFAR = 10**12


@pytest.fixture
def shift() -> Iterator[None]:
    """Take back what a repair did to the schema."""
    yield
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE OR REPLACE FUNCTION {SHIFT} RETURNS bigint LANGUAGE sql STABLE"
            " AS 'SELECT 0::bigint'"
        )


def change_of(campaign: Campaign) -> StatusChange:
    return StatusChange(
        campaign=campaign,
        at=NOW,
        was_active=True,
        is_active=False,
        old_hold="",
        hold="ended",
        cause=Cause.EDIT,
    )


def xids() -> list[int]:
    return list(StatusChange.objects.order_by("pk").values_list("xid", flat=True))


def write(statement: str, *params: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def test_the_database_gives_it_on_every_road() -> None:
    campaign = decided(make_campaign())  # by the statement of a pass
    change_of(campaign).save()
    StatusChange.objects.bulk_create([change_of(campaign), change_of(campaign)])
    copied = StatusChange.objects.latest("pk")
    copied.pk, copied._state.adding = None, True
    copied.save()

    if connection.vendor == "postgresql":
        assert len(set(xids())) == 4  # one each transaction
        assert xids() == sorted(xids())
        assert xids()[-1] < asked("SELECT pg_current_xact_id()::text::bigint")
    else:
        assert xids() == [0] * 5


def test_a_row_is_not_from_elsewhere_to_the_transaction_that_writes_it() -> None:
    with transaction.atomic():
        decided(make_campaign())
        assert not StatusChange.objects.from_elsewhere().exists()
    assert not StatusChange.objects.from_elsewhere().exists()


@pytest.mark.postgres
def test_the_columns_default_is_the_one_that_the_model_states() -> None:
    stated = asked(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute"  # noqa: S608  # our own table's name
        " ON attrelid = adrelid AND attnum = adnum"
        f" WHERE adrelid = '{LOG}'::regclass AND attname = 'xid'"
    )
    write(f"CREATE TEMPORARY TABLE expected (xid bigint DEFAULT {Stamp.on_postgresql})")
    expected = asked(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'expected'::regclass"
    )
    write("DROP TABLE expected")

    assert stated == expected


@pytest.mark.postgres
@pytest.mark.usefixtures("shift")
class TestARestoredDump:
    def restored(self) -> tuple[Campaign, Reader]:
        """Return a campaign whose log came from a cluster far ahead, and a reader that knows it all."""
        campaign = decided(make_campaign())
        switch(campaign, on=False)
        write(f"UPDATE {LOG} SET xid = xid + %s", AFAR)  # noqa: S608  # our own table's name
        reader = Reader(Cursor(xids()[-1], last(campaign)))
        return campaign, reader

    def test_is_reported(self) -> None:
        self.restored()

        (finding,) = reconciliation.check()

        assert (finding.code, finding.count) == ("log_ahead", 2)

    def test_is_no_end_of_the_world_to_a_reader(self) -> None:
        campaign, reader = self.restored()
        with pytest.raises(CursorAhead):
            reader.poll()
        switch(campaign, on=True)  # before anybody repaired
        before = serving.version(None)

        reconciliation.repair(NOW)

        assert reconciliation.check() == []
        assert serving.version(None) != before
        reader.until_told(last(campaign))
        assert reader.seen == [last(campaign)]
        switch(campaign, on=False)
        reader.until_told(last(campaign))
        assert reader.seen[1:] == [last(campaign)]

    def test_is_told_once_and_in_sequence_to_who_begins_anew(self) -> None:
        campaign, _ = self.restored()
        switch(campaign, on=True)
        reconciliation.repair(NOW)
        switch(campaign, on=False)
        reader = Reader()

        reader.until_told(last(campaign))

        assert_told_once_and_in_sequence(reader)

    def test_can_be_restored_again(self) -> None:
        self.restored()
        reconciliation.repair(NOW)
        once = asked(f"SELECT {SHIFT}")
        write(f"UPDATE {LOG} SET xid = xid + %s", once + AFAR)  # noqa: S608  # our own table's name

        reconciliation.repair(NOW)
        reconciliation.repair(NOW)

        assert asked(f"SELECT {SHIFT}") == 2 * once > AFAR
        assert reconciliation.check() == []


@pytest.mark.usefixtures("shift")
def test_a_log_that_moved_to_another_kind_of_database_can_be_followed() -> None:
    campaign = decided(make_campaign())
    write(f"UPDATE {LOG} SET xid = %s", AFAR)  # noqa: S608  # our own table's name
    assert [finding.code for finding in reconciliation.check()] == ["log_ahead"]

    reconciliation.repair(NOW)

    assert reconciliation.check() == []
    switch(campaign, on=False)
    reader = Reader()
    reader.until_told(*StatusChange.objects.values_list("pk", flat=True))
    assert_told_once_and_in_sequence(reader)


def test_a_log_that_is_there_already_comes_first_and_its_table_is_not_written_anew() -> None:
    executor = MigrationExecutor(connection)
    everything = executor.loader.graph.leaf_nodes()
    (here,) = [key for key in executor.loader.graph.nodes if key[1].endswith("_change_feed")]
    (before,) = [
        key for key in executor.loader.get_migration(*here).dependencies if key[0] == "budgets"
    ]
    campaign = decided(make_campaign())
    file = f"SELECT pg_relation_filenode('{LOG}')"

    executor.migrate([before])
    try:
        old = asked(file) if connection.vendor == "postgresql" else None
    finally:
        MigrationExecutor(connection).migrate(everything)

    if connection.vendor == "postgresql":
        assert asked(file) == old
    assert xids() == [0]
    switch(campaign, on=False)
    reader = Reader()
    reader.until_told(last(campaign))
    assert_told_once_and_in_sequence(reader)
    until_all_is_final()
