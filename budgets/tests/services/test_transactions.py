"""A transaction begins again when the state moved under it, and gives up after the third time."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from budgets.models import Brand
from budgets.services.transactions import ATTEMPTS, StateMoved, chunks, settle
from budgets.tests.builders import make_brand


class Attempts:
    """Work that writes a brand and fails as often as it is told."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.begun = failures, error, 0

    def __call__(self) -> int:
        self.begun += 1
        make_brand()
        if self.begun <= self.failures:
            raise self.error
        return self.begun


class DeadlockDetected(Exception):
    """What the PostgreSQL driver raises."""

    sqlstate = "40P01"


def deadlock() -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = DeadlockDetected()
    return error


@pytest.mark.django_db
@pytest.mark.parametrize("failures", range(ATTEMPTS))
def test_work_begins_again_when_the_state_moved_and_leaves_nothing_of_before(failures: int) -> None:
    work = Attempts(failures, StateMoved("somebody was first"))

    assert settle(work) == failures + 1
    assert Brand.objects.count() == 1


@pytest.mark.django_db
def test_work_gives_up_after_the_third_time() -> None:
    work = Attempts(99, StateMoved("somebody was first"))

    with pytest.raises(StateMoved, match="somebody was first"):
        settle(work)

    assert (work.begun, Brand.objects.count()) == (3, 0)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_deadlock_begins_again() -> None:
    assert settle(Attempts(2, deadlock())) == 3
    assert Brand.objects.count() == 1


@pytest.mark.django_db
def test_a_deadlock_inside_a_larger_transaction_is_the_callers() -> None:
    work = Attempts(1, deadlock())

    with pytest.raises(OperationalError, match="deadlock"):
        settle(work)

    assert work.begun == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("error", [OperationalError("database is locked"), ValueError("a bug")])
def test_any_other_error_is_not_tried_again(error: Exception) -> None:
    work = Attempts(1, error)

    with pytest.raises(type(error)):
        settle(work)

    assert (work.begun, Brand.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [(0, 3, []), (3, 3, [3]), (7, 3, [3, 3, 1]), (1001, 1000, [1000, 1])],
)
def test_lists_are_cut_into_pieces_that_fit_one_statement(
    count: int, size: int, lengths: list[int]
) -> None:
    pieces = list(chunks(range(count), size))

    assert [len(piece) for piece in pieces] == lengths
    assert [item for piece in pieces for item in piece] == list(range(count))
