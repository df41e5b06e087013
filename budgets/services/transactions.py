"""Transactions that begin again when somebody else was first, and lists cut into statements."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from django.db import DatabaseError, OperationalError, connection, transaction

logger = logging.getLogger(__name__)

ATTEMPTS = 3
DEADLOCK = "40P01"
"""PostgreSQL's code for a transaction that was rolled back to let another one go on."""
LOCK_TIMEOUT = "55P03"
"""And for one that waited long enough for a lock."""

FAILURES = (ArithmeticError, AttributeError, DatabaseError, LookupError, TypeError, ValueError)
"""What a brand's own data can cause. A time limit's signal, say, is none of a brand's business."""

ROWS = 1000
"""Rows or ids a statement: SQLite allows 32,766 parameters, and the ledger's rows take eight each."""

T = TypeVar("T")


class StateMoved(RuntimeError):
    """A row changed between reading and writing, past the brand's lock (raw SQL does that)."""


def settle(work: Callable[[], T]) -> T:
    """Run `work` in one transaction; begin again when the state moved under it."""
    for _ in range(ATTEMPTS - 1):
        try:
            with transaction.atomic():
                return work()
        except StateMoved as error:
            logger.warning("state moved, deciding again: %s", error)
        except OperationalError as error:
            if connection.in_atomic_block or not _is_deadlock(error):
                raise
            logger.warning("deadlock, beginning again: %s", error)
    with transaction.atomic():
        return work()


def chunks(items: Sequence[T], size: int = ROWS) -> Iterator[Sequence[T]]:
    """Cut `items` into pieces that fit one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def is_lock_timeout(error: BaseException) -> bool:
    """Tell whether `error` says that somebody else held a lock for too long."""
    return getattr(error.__cause__, "sqlstate", "") == LOCK_TIMEOUT


def _is_deadlock(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", "") == DEADLOCK
