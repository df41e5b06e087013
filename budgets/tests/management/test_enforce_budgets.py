"""`manage.py enforce_budgets`: one pass now, and what it did."""

from __future__ import annotations

from io import StringIO

import pytest
import time_machine
from django.core.management import call_command

from budgets.core.decision import Hold
from budgets.tests.builders import NOW, make_campaign, state, write_spend

pytestmark = pytest.mark.django_db


def enforce_budgets() -> str:
    out = StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command("enforce_budgets", stdout=out)
    return out.getvalue()


def test_a_pass_by_hand_decides_and_prints_what_it_did() -> None:
    campaign = make_campaign(daily_budget=5)
    write_spend(campaign, 5)

    printed = dict(line.split() for line in enforce_budgets().splitlines())

    assert state(campaign) == Hold.CAMPAIGN_DAILY_BUDGET
    assert (printed["counted"], printed["brands"], printed["changes"]) == ("1", "1", "1")
    assert (printed["paused"], printed["resumed"], printed["corrected"]) == ("0", "0", "0")


def test_a_pass_with_nothing_to_do_says_so() -> None:
    make_campaign()
    enforce_budgets()

    assert enforce_budgets() == "Nothing was due.\n"
