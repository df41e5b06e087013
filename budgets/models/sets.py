"""Sets that travel to the database as one parameter each, whatever their size.

An ``IN`` list of a thousand keys costs 4 ms before it is sent, because every placeholder is parsed; as
one array it costs nothing to speak of. PostgreSQL takes arrays, SQLite JSON: that is the whole
difference between the two, and it lives here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigAutoField, ForeignKey, Lookup, Model

if TYPE_CHECKING:
    _Lookup = Lookup[Any]
else:
    _Lookup = Lookup  # At run time it takes no type arguments.

Value = str | int | bool | date | datetime | None


@BigAutoField.register_lookup
@ForeignKey.register_lookup
class Among(_Lookup):
    """`filter(pk__among=keys)`: those whose key is one of `keys`."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(
        self, compiler: Any, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        """Compare with the elements of one parameter."""
        column, params = self.process_lhs(compiler, connection)
        condition, keys = among(column, [int(key) for key in self.rhs])
        return condition, (*params, keys)


def among(column: str, keys: Iterable[int]) -> tuple[str, str]:
    """Return a condition and its parameter: the value of `column` is one of `keys`."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY (%s::bigint[])", array(list(keys))
    return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(keys))  # noqa: S608  # a column of ours


def table(name: str, **columns: tuple[str, Sequence[Value]]) -> tuple[str, list[str]]:
    """Return a FROM item and its parameters: the table `name` made of `columns`.

    A column is its PostgreSQL type and its values, all columns of the same length; numbers, dates,
    instants (UTC) and truth values arrive as the database stores them.
    """
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{kind}[]" for kind, _ in columns.values())
        names = ", ".join(columns)
        return f"unnest({arrays}) AS {name} ({names})", [
            array(values) for _, values in columns.values()
        ]
    fields = ", ".join(
        f"json_extract(value, '$[{at}]') AS {column}" for at, column in enumerate(columns)
    )
    rows = zip(*(map(_stored, values) for _, values in columns.values()), strict=True)
    elements = f"SELECT {fields} FROM json_each(%s)"  # noqa: S608  # names of columns, ours
    return f"({elements}) AS {name}", [json.dumps(list(rows))]


@contextmanager
def copying(
    model: type[Model], same: Mapping[str, Value], **columns: Sequence[Value]
) -> Iterator[None]:
    """Insert rows, given as columns, in the way in which PostgreSQL takes many of them fastest.

    `same` are the columns that have one value in all rows. The database is at it while the body runs,
    and has them at its end. Twice as fast as an INSERT, which must look for each row whether it
    conflicts. Only PostgreSQL has it; an id that is known raises ``IntegrityError``.
    """
    written = (_copied(values) for values in columns.values())
    end = "".join([f"\t{_copied_one(value)}" for value in same.values()]) + "\n"
    text = end.join(map("\t".join, zip(*written, strict=True))) + end
    statement = f"COPY {name_of(model)} ({', '.join([*columns, *same])}) FROM STDIN"
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(statement) as copy,
    ):
        copy.write(text)
        yield


def lock(*, of: str = "", waiting: bool = True) -> str:
    """Return the clause that locks the rows of a SELECT, in its order; of a join, those `of` one table.

    Not `waiting`: without those that somebody else holds. SQLite has one lock for all, and whoever
    writes holds it from the beginning of the transaction.
    """
    if connection.vendor != "postgresql":
        return ""
    return f"FOR NO KEY UPDATE{' OF ' if of else ''}{of}{'' if waiting else ' SKIP LOCKED'}"


def name_of(model: type[Model]) -> str:
    """Return the name of the model's table, quoted."""
    return connection.ops.quote_name(model._meta.db_table)


def array(values: Sequence[Value]) -> str:
    """Write a PostgreSQL array; the driver's own way costs ten times as much."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return "{" + str(list(values))[1:-1] + "}"
    if kinds == {str}:
        joined = '","'.join(values)  # type: ignore[arg-type]  # all are texts: looked at above
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return '{"' + joined + '"}'
    # Dates and instants repeat: a batch has a few days, and mostly one instant or none.
    written = {value: _element(value) for value in set(values)}
    return "{" + ",".join([written[value] for value in values]) + "}"


def _element(value: Value) -> str:
    match value:
        case None:
            return "NULL"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case int():  # true and false as well, which PostgreSQL reads as written
            return str(value)
        case _:
            return f'"{value.isoformat()}"'


def _stored(value: Value) -> str | int | None:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def _copied(values: Sequence[Value]) -> list[str]:
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values))
    if kinds == {str}:  # without line breaks and tabs: names and ids have none
        return [str(value).replace("\\", "\\\\") for value in values]
    written = {value: _copied_one(value) for value in set(values)}
    return [written[value] for value in values]


def _copied_one(value: Value) -> str:
    match value:
        case None:
            return r"\N"
        case str():
            return value.replace("\\", "\\\\")
        case int():
            return str(value)
        case _:
            return value.isoformat()
