"""Every hour of eight windows, and when a window opens or closes next."""

from __future__ import annotations

import pytest

from budgets.core import dayparting
from budgets.core.periods import local_day, zone_named
from budgets.tests.builders import at

#                0     6     12    18   23
CLOCK_FACES = {
    (0, 24): "########################",
    (23, 0): ".......................#",
    (22, 6): "######................##",
    (6, 22): "......################..",
    (9, 17): ".........########.......",
    (0, 1): "#.......................",
    (12, 12): "########################",
    (23, 24): ".......................#",
}


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("window", CLOCK_FACES, ids=lambda window: "-".join(map(str, window)))
def test_a_window_is_open_in_these_hours(window: tuple[int, int], hour: int) -> None:
    assert dayparting.is_open(*window, hour) == (CLOCK_FACES[window][hour] == "#")


@pytest.mark.parametrize("hour", range(24))
def test_a_window_whose_start_is_its_end_is_open_all_day(hour: int) -> None:
    assert all(
        dayparting.is_open(start, start, other) for start in (0, hour) for other in range(24)
    )


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        ((9, 17), "2026-11-24T08:59:59Z", "2026-11-24T09:00Z"),
        ((9, 17), "2026-11-24T09:00Z", "2026-11-24T17:00Z"),
        ((9, 17), "2026-11-24T17:00Z", "2026-11-25T00:00Z"),
        ((22, 6), "2026-11-24T00:00Z", "2026-11-24T06:00Z"),
        ((22, 6), "2026-11-24T06:00Z", "2026-11-24T22:00Z"),
        ((22, 6), "2026-11-24T23:30Z", "2026-11-25T00:00Z"),
        ((0, 24), "2026-11-24T12:00Z", "2026-11-25T00:00Z"),
        ((5, 5), "2026-11-24T12:00Z", "2026-11-25T00:00Z"),
    ],
)
def test_the_next_change_is_an_opening_a_closing_or_the_days_end(
    window: tuple[int, int], now: str, expected: str
) -> None:
    day = local_day(zone_named("UTC"), at(now))

    assert dayparting.next_change(day, *window, at(now)) == at(expected)


def test_the_hour_that_spring_skips_never_opens() -> None:
    day = local_day(zone_named("America/New_York"), at("2026-03-08T06:00Z"))

    assert dayparting.next_change(day, 2, 3, at("2026-03-08T06:00Z")) == at("2026-03-09T04:00Z")


def test_the_hour_that_autumn_repeats_is_open_twice_over() -> None:
    day = local_day(zone_named("America/New_York"), at("2026-11-01T04:30Z"))

    assert dayparting.next_change(day, 1, 2, at("2026-11-01T04:30Z")) == at("2026-11-01T05:00Z")
    assert dayparting.next_change(day, 1, 2, at("2026-11-01T05:00Z")) == at("2026-11-01T07:00Z")


def test_a_half_hour_that_is_repeated_across_a_closing_opens_again() -> None:
    # Lord Howe falls back from 02:00 to 01:30: hour 1 lasts an hour and a half.
    zone, now = zone_named("Australia/Lord_Howe"), at("2026-04-04T14:15Z")
    day = local_day(zone, now)

    assert now.astimezone(zone).isoformat() == "2026-04-05T01:15:00+11:00"
    assert dayparting.next_change(day, 1, 2, now) == at("2026-04-04T15:30Z")
