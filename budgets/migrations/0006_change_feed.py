"""Give the log the order in which it is told: see `budgets.models.commit_order`.

Rows that are there get 0 and come first, in the order of their ids. Added with a constant, the column
costs no rewrite of the table; only afterwards it gets its default.
"""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from budgets.models.commit_order import SHIFT, Stamp

TABLE = "budgets_statuschange"


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schema_editor.execute(f"ALTER TABLE {TABLE} ADD COLUMN xid bigint NOT NULL DEFAULT 0")
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE FUNCTION {SHIFT} RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 0::bigint'"
        )
        schema_editor.execute(
            f"ALTER TABLE {TABLE} ALTER COLUMN xid SET DEFAULT {Stamp.on_postgresql}"
        )


def remove(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schema_editor.execute(f"ALTER TABLE {TABLE} DROP COLUMN xid")
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION {SHIFT}")


class Migration(migrations.Migration):
    dependencies = [("budgets", "0005_api_key")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[
                migrations.AddField(
                    model_name="statuschange",
                    name="xid",
                    field=models.BigIntegerField(db_default=Stamp(), editable=False),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="statuschange",
            index=models.Index(fields=["xid", "id"], name="status_change_feed"),
        ),
    ]
