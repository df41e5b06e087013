"""`manage.py reconcile [--repair]`: the proof, in words and with an exit code."""

from __future__ import annotations

from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from budgets.models import Campaign, StatusChange
from budgets.tests.builders import (
    NOW,
    decided,
    make_brand,
    make_campaign,
    spend,
    state,
    totals,
)

pytestmark = pytest.mark.django_db


def reconcile(*arguments: str) -> tuple[str, str]:
    """Return what was printed and with which error the command ended."""
    out = StringIO()
    with time_machine.travel(NOW, tick=False):
        try:
            call_command("reconcile", *arguments, stdout=out, no_color=True)
        except CommandError as error:
            return out.getvalue(), f"{error} [exit code {error.returncode}]"
    return out.getvalue(), ""


def drifted() -> Campaign:
    campaign = decided(make_campaign())
    spend(campaign, 5)
    Campaign.objects.filter(pk=campaign.pk).write(total_daily_spend=4)
    return campaign


@pytest.mark.parametrize("arguments", [(), ("--repair",)])
def test_an_honest_house_ends_well(arguments: tuple[str, ...]) -> None:
    spend(make_campaign(), 5)

    assert reconcile(*arguments) == ("Totals, states and log belong together.\n", "")


def test_what_is_wrong_is_named_and_left_alone() -> None:
    campaign = drifted()

    printed, error = reconcile()

    assert "1 campaigns whose totals are not the sum of their ledger:" in printed
    assert f"  {campaign.pk} {campaign.name}\n" in printed
    assert "1 brands whose totals are not the sum of their campaigns:" in printed
    assert error == (
        "2 kinds of rows do not belong together. Run with --repair to sum the totals anew. "
        "[exit code 1]"
    )
    assert totals(campaign)[0] == 4


def test_a_repair_says_what_it_did_and_looks_again() -> None:
    campaign = drifted()

    printed, error = reconcile("--repair")

    assert error == ""
    assert "Repaired 1 brands; 0 campaigns changed their state." in printed
    assert printed.endswith("Totals, states and log belong together.\n")
    assert totals(campaign) == (5, 5)


def test_a_repair_brings_state_and_log_together() -> None:
    campaign = decided(make_campaign())
    Campaign.objects.filter(pk=campaign.pk).write(is_enabled=False)

    printed, error = reconcile("--repair")

    assert "active though the operator switched them off" in printed
    assert error == ""
    assert state(campaign) == "operator"


def test_what_a_repair_cannot_mend_is_still_an_error() -> None:
    campaign = decided(make_campaign())
    StatusChange.objects.create(  # from where no change had led
        campaign=campaign,
        at=NOW,
        was_active=False,
        is_active=True,
        old_hold="ended",
        hold="",
        cause="edit",
    )

    printed, error = reconcile("--repair")

    assert "do not begin where the one before ended" in printed
    assert error == "1 kinds of rows do not belong together. [exit code 1]"


def test_a_long_list_is_cut_and_says_by_how_much() -> None:
    brand = make_brand()
    for _ in range(25):
        make_campaign(brand)
    Campaign.objects.filter(brand=brand).write(total_monthly_spend=1)

    printed, _ = reconcile()

    assert "25 campaigns whose totals" in printed
    assert "  … and 5 more\n" in printed
