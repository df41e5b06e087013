"""Two beats, no beat, and a beat whose clock is set: passes happen once, or health is red."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from budgets.tests.e2e.household import NOON, Household, from_now
from budgets.tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.redis]

TODAY = NOON.date().isoformat()
HOUR = timedelta(hours=1)
OVER, UNDER_AGAIN = Decimal("10.5"), Decimal(-1)
PAUSED = ("", "brand_daily_budget", "spend")
PAUSED_ONCE = [("undecided", "", "edit"), PAUSED]
RESUMED_ONCE = [*PAUSED_ONCE, ("brand_daily_budget", "", "spend")]
CHECK = "check_and_pause"
WITHOUT_TICKS = {"beat", "passes", "worker"}
"""A worker is proved by what it does: when its last pass of any kind is old, its line is red too."""


def move_in(household: Household) -> str:
    """Start all parts at noon; return the web server's address when all is well."""
    household.ahead = from_now(NOON)
    address = household.web()
    for role in ("worker", "beat"):
        household.celery(role)
    household.until_held("")
    until_red(household, address, set())
    return address


def until_red(household: Household, address: str, lines: set[str]) -> None:
    """Return when exactly these lines of health are red."""
    seen: set[str] = set()

    def are_red() -> bool:
        seen.clear()
        seen.update(household.red(address))
        return seen == lines

    until(are_red, lambda: f"red: {seen}, expected: {lines}\n{household.said()}")


def set_clocks(household: Household, by: timedelta) -> None:
    """Set the clock of the machine on which all of them run."""
    for name in ("web", "worker", "beat"):
        household.clock_of(name).jump(by)


def ticks(household: Household) -> int:
    """Return how many passes beat has asked for."""
    return household.log_of("beat").read_text().count(f"(budgets.tasks.{CHECK}")


def test_two_beats_double_the_ticks_and_nothing_else(household: Household) -> None:
    address = move_in(household)
    household.celery("beat", "second beat")
    until(lambda: "Sending due task" in household.log_of("second beat").read_text(), household.said)

    household.spend(OVER, TODAY)
    household.until_held("brand_daily_budget")
    for _ in range(3):
        household.until_passing(CHECK)

    assert household.totals() == (OVER, OVER)
    assert household.changes() == PAUSED_ONCE
    until_red(household, address, set())


def test_without_a_beat_health_is_red_and_a_pacemaker_stands_in(household: Household) -> None:
    address = move_in(household)
    beat = household.running[-1]
    beat.kill()
    beat.wait()

    # Of passes and ticks every second, three are missing.
    until_red(household, address, WITHOUT_TICKS)
    household.spend(OVER, TODAY)
    pacemaker = household.pacemaker()
    household.until_held("brand_daily_budget")
    until_red(household, address, {"beat"})

    # Both at once, and then beat alone.
    household.celery("beat")
    until_red(household, address, set())
    household.stop(pacemaker)
    household.spend(UNDER_AGAIN, TODAY)
    household.until_held("")
    assert household.changes() == RESUMED_ONCE
    until_red(household, address, set())


def test_a_clock_that_is_set_forward_brings_no_burst_of_passes(household: Household) -> None:
    address = move_in(household)
    household.spend(OVER, TODAY)
    household.until_held("brand_daily_budget")

    before = ticks(household)
    set_clocks(household, HOUR)
    household.spend(UNDER_AGAIN, TODAY)
    household.until_held("")
    done = household.passes(CHECK)
    for _ in range(3):
        household.until_passing(CHECK)

    # Not one for each of the 3,600 seconds that were left out.
    assert ticks(household) - before < 100 + household.passes(CHECK) - done
    assert household.totals() == (OVER + UNDER_AGAIN, OVER + UNDER_AGAIN)
    assert household.changes() == RESUMED_ONCE
    until_red(household, address, set())


def test_a_clock_that_is_set_back_stops_no_pass(household: Household) -> None:
    address = move_in(household)
    household.spend(OVER, TODAY)
    household.until_held("brand_daily_budget")

    set_clocks(household, -HOUR)
    household.spend(UNDER_AGAIN, TODAY)
    household.until_held("")
    for _ in range(3):
        household.until_passing(CHECK)

    assert household.totals() == (OVER + UNDER_AGAIN, OVER + UNDER_AGAIN)
    assert household.changes() == RESUMED_ONCE
    until_red(household, address, set())


def test_a_beat_that_starts_on_a_clock_that_was_set_back_sends_its_ticks(
    household: Household,
) -> None:
    address = move_in(household)
    household.stop(household.running[-1])
    set_clocks(household, -HOUR)

    household.ahead -= HOUR
    household.celery("beat")

    household.spend(OVER, TODAY)
    household.until_held("brand_daily_budget")
    until_red(household, address, set())


def test_a_beat_alone_an_hour_ahead_or_behind_is_red_or_does_no_harm(household: Household) -> None:
    address = move_in(household)
    clock = household.clock_of("beat")

    clock.jump(HOUR)
    household.spend(OVER, TODAY)
    household.until_held("brand_daily_budget")
    until_red(household, address, set())

    clock.jump(-HOUR)
    household.spend(UNDER_AGAIN, TODAY)
    household.until_held("")

    # Its ticks are out of date when they come.
    clock.jump(-HOUR)
    until_red(household, address, WITHOUT_TICKS)

    clock.jump(HOUR)
    until_red(household, address, set())
    assert household.totals() == (OVER + UNDER_AGAIN, OVER + UNDER_AGAIN)
    assert household.changes() == RESUMED_ONCE
