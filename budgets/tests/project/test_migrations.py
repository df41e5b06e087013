"""Old code goes on beside the new schema: what an upgrade without an interruption rests on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

APP = "budgets"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)

HARMLESS = (
    migrations.CreateModel,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.RemoveIndex,
    migrations.RemoveConstraint,
)
"""Old code knows nothing of what is new, and keeps more promises than it need."""

LOOKED_AT = {
    "0002_beat_schedule RunPython": "rows of beat's schedule",
    "0003_room_for_updates RunPython": "a setting of storage",
    "0004_index_of_held_campaigns AddIndex campaign": "partial: half a second for a million campaigns",
    "0006_change_feed RunPython": "a column with a default in the database, which costs no rewrite",
    "0006_change_feed AddIndex statuschange": "before the first release",
    "0008_webhooks RunPython": "rows of beat's schedule; a worker drops a task that it does not know",
    "0011_settled_deliveries AddIndex webhookdelivery": "30 days of deliveries and no more",
    "0013_roles RunPython": "groups, and a permission for which old code does not ask",
    "0015_alerts AddIndex campaign": "partial: campaigns are read once",
    "0015_alerts AddConstraint webhookdelivery": "of alerts, which old code knows nothing of",
    "0015_alerts RunPython": "rows of beat's schedule; a worker drops a task that it does not know",
    "0016_find_by_name RunPython": "indexes of names, which seldom change",
    "0017_imports AddIndex spend": "partial and empty at first: the ledger is read once",
    "0018_overspend_indexes AddIndex statuschange": "partial: the log is read once for each",
    "0019_stale_spend AddConstraint campaign": "allows one hold more than the one that it replaces",
}
"""What the rule cannot tell or forbids, and why it is harmless all the same. A person looked at each."""


@cache
def loader() -> MigrationLoader:
    return MigrationLoader(None, ignore_no_migrations=True)


def names() -> list[str]:
    """Return the names of our migrations, in order."""
    [leaf] = loader().graph.leaf_nodes(APP)
    return [name for app, name in loader().graph.forwards_plan(leaf) if app == APP]


def inside(operation: Operation) -> Iterator[Operation]:
    """Yield what an operation does to the database."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from inside(inner)
    else:
        yield operation


def columns_in(condition: Any) -> Iterator[str]:
    """Yield the columns of which a condition speaks."""
    if isinstance(condition, models.F):
        column: Any = condition  # its name is not in the stubs
        yield column.name
    elif isinstance(condition, tuple):
        yield condition[0].partition("__")[0]
    elif isinstance(condition, models.Q):
        for child in condition.children:
            yield from columns_in(child)
    elif isinstance(condition, models.expressions.BaseExpression):
        for part in condition.get_source_expressions():
            yield from columns_in(part)


def in_the_database(field: Any) -> object:
    """Return what of a field the database knows: no words, no choices."""
    _, path, args, named = field.deconstruct()
    return path, args, {key: it for key, it in named.items() if key not in field.non_db_attrs}


def harm(migration: migrations.Migration, state: ProjectState) -> list[str]:
    """Return what code from before a migration could notice of it, or has to wait for.

    `state` is that before it, and is brought behind it.
    """
    new: set[object] = set()  # models, and pairs of a model and a column

    def is_harmless(operation: Any, before: ProjectState) -> bool:
        model = getattr(operation, "model_name", "").lower()
        match operation:
            case migrations.CreateModel():
                new.add(operation.name.lower())
            case migrations.AddField(field=field):
                new.add((model, operation.name))
                has_default = field.db_default is not models.NOT_PROVIDED
                return model in new or field.null or field.many_to_many or has_default
            case migrations.AlterField(field=field):
                old = before.models[APP, model].fields[operation.name]
                return in_the_database(old) == in_the_database(field)
            case migrations.AddConstraint(constraint=models.CheckConstraint(condition=condition)):
                return model in new or {(model, name) for name in columns_in(condition)} <= new
            case _:
                pass
        return model in new or isinstance(operation, HARMLESS)

    found = []
    for operation in migration.operations:
        before = state.clone()
        operation.state_forwards(APP, state)
        for it in inside(operation):
            if not is_harmless(it, before):
                whom = getattr(it, "model_name", getattr(it, "name", None)) or ""
                found.append(f"{migration.name} {type(it).__name__} {whom}".rstrip())
    return found


@pytest.mark.parametrize("name", names()[1:])
def test_code_from_before_a_migration_goes_on_after_it(name: str) -> None:
    """Columns have a default or may be empty; nothing is renamed, dropped or forbidden.

    An index of a table that may be large locks out its writers while it is made; one of a future
    migration is made concurrently: by `RunPython`, on PostgreSQL, with `atomic = False`. What is
    dropped goes a release later, when no code knows it any more, and is named in `LOOKED_AT` then.
    """
    state = loader().project_state((APP, name), at_end=False)

    noticed = harm(loader().graph.nodes[APP, name], state)

    assert set(noticed) <= LOOKED_AT.keys()


def test_everything_that_was_looked_at_is_there() -> None:
    found = {
        it
        for name in names()[1:]
        for it in harm(
            loader().graph.nodes[APP, name], loader().project_state((APP, name), at_end=False)
        )
    }

    assert LOOKED_AT.keys() == found


BRAND = "brand"


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField(BRAND, "slogan", models.CharField(max_length=9, default="")),
        migrations.RemoveField(BRAND, "name"),
        migrations.RenameField(BRAND, "name", "title"),
        migrations.RenameModel("Brand", "Advertiser"),
        migrations.DeleteModel("Spend"),
        migrations.AlterField(BRAND, "name", models.CharField(max_length=10)),
        migrations.AlterModelTable(BRAND, "brands"),
        migrations.AddIndex("spend", models.Index(fields=["amount"], name="i")),
        migrations.AddConstraint(
            BRAND, models.CheckConstraint(condition=~models.Q(name="x"), name="c")
        ),
        migrations.AddConstraint(BRAND, models.UniqueConstraint(fields=["name"], name="u")),
        migrations.RunSQL("UPDATE budgets_brand SET name = 'x'"),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_old_code_would_notice_is_noticed(operation: Operation) -> None:
    state = loader().project_state((APP, names()[-1]))
    migration = type("Migration", (migrations.Migration,), {"operations": [operation]})("9999", APP)

    assert harm(migration, state)


@pytest.mark.django_db
@pytest.mark.parametrize("name", names())
def test_code_of_any_release_reads_and_writes_the_schema_of_today(name: str) -> None:
    """With the models as they were then: what they insert, update and select."""
    old = loader().project_state((APP, name)).apps
    brand = old.get_model(APP, "Brand").objects.create(name="Aurora", daily_budget=Decimal(5))
    campaign = old.get_model(APP, "Campaign").objects.create(brand=brand, name="Tents")
    spends, log = old.get_model(APP, "Spend").objects, old.get_model(APP, "StatusChange").objects
    spends.create(campaign=campaign, date=NOW.date(), amount=Decimal(5))
    log.create(
        campaign=campaign,
        old_hold="",
        hold="brand_daily_budget",
        was_active=True,
        is_active=False,
        cause="spend",
        at=NOW,
    )
    brand.total_daily_spend = campaign.total_daily_spend = Decimal(5)
    campaign.hold, campaign.is_active = "brand_daily_budget", False
    for row in (brand, campaign):
        row.save()

    for row in (brand, campaign):
        row.refresh_from_db()
    assert (brand.total_daily_spend, campaign.hold) == (Decimal(5), "brand_daily_budget")
    assert spends.get(campaign=campaign).amount == Decimal(5)
    assert log.get(campaign=campaign).cause == "spend"
