"""The order in which status changes are told, so that a reader who goes on from where it was misses none.

Ids will not do: they are given when a row is written, and transactions commit in another order. So a
row carries `xid`, and the log is read in the order (`xid`, id), up to an end below which all is final.

On PostgreSQL `xid` is the number of the transaction that writes, or of the newest that was over when
the row was written, whichever is higher.

* Below `pg_snapshot_xmin`, the lowest transaction that still runs, nothing is ever added: a row bears at
  least its own transaction's number, and whatever runs or is yet to begin has no lower one.
* The changes of one campaign follow each other. Who writes the later one had to wait for the brand's
  lock, so the earlier transaction was over. Its own number alone would not do: it may have got that for
  another brand, before the earlier transaction began.

On SQLite `xid` is 0: a writer holds the one lock from BEGIN to COMMIT, so ids are given in the order of
the commits, and all of them are final.

A dump that was restored elsewhere holds numbers that the new cluster has yet to reach: what is written
now would be told as old. `budgets_log_shift()` is added to every number there; it returns 0 until
`reconcile --repair` lifts it beyond all that the log holds. Being part of the schema it is in the next
dump too, and it costs nothing: the planner puts the constant in its place.

What this cannot see: a server recovered to an earlier point, whose lost changes somebody has read.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func

ROOM = 1 << 48
"""Numbers between one cluster and the next: at 100,000 transactions a second it lasts 89 years."""

SHIFT = "budgets_log_shift()"

_OWN = "pg_current_xact_id()::text::bigint"
_OWN_IF_ANY = "pg_current_xact_id_if_assigned()::text::bigint"
_LOWEST_RUNNING = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_AFTER_THE_NEWEST_OVER = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


class _ByVendor(Func):
    arity = 0
    output_field = BigIntegerField()
    on_postgresql: str

    def as_postgresql(
        self, compiler: Any, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, template=self.on_postgresql, **extra)


class Stamp(_ByVendor):
    """What the database gives a new status change as its `xid`."""

    template = "0"
    on_postgresql = f"GREATEST({_OWN}, {_AFTER_THE_NEWEST_OVER} - 1) + {SHIFT}"


class FirstUnused(_ByVendor):
    """The lowest `xid` that no row can have that was written here."""

    template = "1"
    on_postgresql = f"GREATEST({_AFTER_THE_NEWEST_OVER}, {_OWN_IF_ANY} + 1) + {SHIFT}"


def end(log: str) -> tuple[str, str]:
    """Return SQL for the (`xid`, id) up to which `log`, its table's name, is final.

    To be used in the statement that reads the rows: a later one would see another end.
    """
    if connection.vendor == "postgresql":
        return f"{_LOWEST_RUNNING} + {SHIFT}", "0::bigint"
    return "0", f"(SELECT COALESCE(MAX(id), 0) FROM {log})"  # noqa: S608  # names of ours
