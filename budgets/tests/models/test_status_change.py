"""The log: a row says what changed, and a row that changes nothing is refused."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from budgets.core.decision import Hold
from budgets.models import Cause, StatusChange
from budgets.tests.builders import NOW, make_campaign

pytestmark = pytest.mark.django_db


def test_the_database_refuses_a_change_that_changes_nothing() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        StatusChange.objects.create(
            campaign=make_campaign(),
            at=NOW,
            was_active=False,
            is_active=False,
            old_hold=Hold.OPERATOR,
            hold=Hold.OPERATOR,
            cause=Cause.EDIT,
        )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("", "operator", "active → operator"), ("operator", "", "operator → active")],
)
def test_a_change_reads_as_from_and_to(old: str, new: str, words: str) -> None:
    assert str(StatusChange(old_hold=old, hold=new)) == words
