"""Rows found right wait here until the last one was: on disk, so that memory stays constant."""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from budgets.services.imports import is_same
from budgets.services.ingestion import Line, SpendEvent

MARK = "row:"
"""How the ids begin that rows without one are given."""

_COLUMNS = "line, brand_id, campaign_id, day, micros, occurred_at, day_given, currency, external_id"
_SCHEMA = """
    PRAGMA journal_mode = OFF;
    PRAGMA temp_store = FILE;
    PRAGMA cache_size = -16000;
    CREATE TABLE given (
        line INTEGER PRIMARY KEY, brand_id, campaign_id, day, micros, occurred_at, day_given,
        currency, external_id, content
    );
    CREATE TABLE staged (
        line INTEGER PRIMARY KEY, brand_id, campaign_id, day, micros, occurred_at, day_given,
        currency, external_id
    );
    BEGIN;
"""
# Python commits before a script; without BEGIN at its end every later row would be a transaction.
_SEAL = f"""
    INSERT INTO staged ({_COLUMNS})
    SELECT line, brand_id, campaign_id, day, micros, occurred_at, day_given, currency,
        coalesce(
            external_id,
            '{MARK}' || content || ':' || row_number() OVER (PARTITION BY content ORDER BY line)
        )
    FROM given ORDER BY line;
    DROP TABLE given;
    CREATE INDEX staged_by_id ON staged (external_id);
    BEGIN;
"""  # noqa: S608  # made of our own constants


@dataclass(frozen=True, slots=True)
class Staged:
    """A row that may be recorded, and the line it begins at."""

    number: int
    line: Line
    currency: str | None

    @property
    def event(self) -> SpendEvent:
        """The row as ingestion takes it."""
        return SpendEvent(
            campaign_id=self.line.campaign_id,
            amount=self.line.amount,
            date=self.line.date if self.line.date_was_given else None,
            occurred_at=self.line.occurred_at,
            external_id=self.line.external_id,
            currency=self.currency,
        )


@dataclass(frozen=True, slots=True)
class Clash:
    """Two rows of one id that say different things."""

    first: Staged
    other: Staged


class Stage:
    """A private SQLite database that vanishes with the process, even with a killed one.

    Fill it with `add`, then `seal` it; the rest answers from what is sealed.
    """

    def __init__(self) -> None:
        # No name: SQLite keeps it in a file that has no name either, and spills its cache there.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self.weight = 0
        """All amounts together, in micro-units, whatever their sign."""

    def close(self) -> None:
        """Let it vanish."""
        self._db.close()

    def add(self, rows: Iterable[Staged]) -> None:
        """Take rows in, in the order of the file."""
        self._db.executemany(
            f"INSERT INTO given ({_COLUMNS}, content) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
            map(_stored, self._weighed(rows)),
        )

    def _weighed(self, rows: Iterable[Staged]) -> Iterator[Staged]:
        for row in rows:
            self.weight += abs(row.line.micros)
            yield row

    def seal(self) -> None:
        """Give every row an id: that of its content and its place among equal rows of the file.

        So a second import of the file finds each row recorded, a grown file adds what is new, and
        two equal rows of one file count twice.
        """
        self._db.executescript(_SEAL)

    def __len__(self) -> int:
        count: int = self._db.execute("SELECT count(*) FROM staged").fetchone()[0]
        return count

    def clashes(self) -> Iterator[Clash]:
        """Yield rows whose id an earlier row has with other content; let repetitions go."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM staged WHERE external_id IN (SELECT external_id FROM staged"  # noqa: S608
            " GROUP BY external_id HAVING count(*) > 1) ORDER BY external_id, line"
        )
        repeated = array("q")  # eight bytes each: a file may repeat one row a million times
        for _, same_id in groupby(map(_loaded, rows), lambda row: row.line.external_id):
            first = next(same_id)
            for other in same_id:  # noqa: B031  # it goes on where the first was taken
                if is_same(other.line, first.line):
                    repeated.append(other.number)
                else:
                    yield Clash(first, other)
        self._drop(repeated)

    def by_id(self, size: int) -> Iterator[list[Staged]]:
        """Yield all rows in the order of their ids, `size` at a time; they may be dropped then."""
        last = ""
        while rows := self._db.execute(
            f"SELECT {_COLUMNS} FROM staged WHERE external_id > ? ORDER BY external_id LIMIT ?",  # noqa: S608
            (last, size),
        ).fetchall():
            last = rows[-1][-1]
            yield [_loaded(row) for row in rows]

    def drop(self, rows: Iterable[Staged]) -> None:
        """Let rows go that need not be recorded."""
        self._drop(row.number for row in rows)

    def _drop(self, lines: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM staged WHERE line = ?", ((line,) for line in lines))

    def batches(self, size: int) -> Iterator[list[Staged]]:
        """Yield what is to be recorded, brand by brand, so that a transaction locks few of them."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM staged ORDER BY brand_id, campaign_id, line"  # noqa: S608
        )
        while batch := rows.fetchmany(size):
            yield [_loaded(row) for row in batch]


def _stored(row: Staged) -> tuple[Any, ...]:
    line = row.line
    day = line.date.isoformat()
    occurred_at = line.occurred_at.isoformat() if line.occurred_at else None
    micros = line.micros
    content = None
    if line.external_id is None:
        # Brand and currency follow from the campaign. A day that was not given may come out
        # differently another time (the brand's zone may change), so it does not count.
        given = day if line.date_was_given else ""
        words = f"{line.campaign_id} {given} {micros} {occurred_at or ''}"
        content = hashlib.sha256(words.encode()).hexdigest()
    return (
        row.number,
        line.brand_id,
        line.campaign_id,
        day,
        micros,
        occurred_at,
        line.date_was_given,
        row.currency,
        line.external_id,
        content,
    )


def _loaded(row: Sequence[Any]) -> Staged:
    number, brand_id, campaign_id, day, micros, occurred_at, day_given, currency, key = row
    line = Line(
        campaign_id=campaign_id,
        brand_id=brand_id,
        date=date.fromisoformat(day),
        micros=micros,
        occurred_at=datetime.fromisoformat(occurred_at) if occurred_at else None,
        external_id=key,
        date_was_given=bool(day_given),
    )
    return Staged(number, line, currency)
